// SPDX-License-Identifier: Apache-2.0
#pragma once

// The cases of the evil guests, all of them.

#include "tests/guests/testing/evil_hypercall_cases.h"
#include "tests/guests/testing/evil_memory_cases.h"
#include "tests/guests/testing/evil_processor_cases.h"
