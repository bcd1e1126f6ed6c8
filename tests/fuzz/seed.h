// SPDX-License-Identifier: Apache-2.0
#pragma once

// The seeds of fuzz targets, as they stand in corpus/: a file holds its bytes,
// or, where it is called *.hex, their hexadecimal digits in lines.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai {

// The path itself, or those of the files in the directory that it names.
std::vector<std::string> Seeds(const std::string& path);

// The bytes that the fuzz target gets.
absl::StatusOr<std::string> ReadSeed(const std::string& path);

}  // namespace serai
