// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::testing {

// Whether the guest at the tap answers pings and returns datagrams (UDP port
// 7), small and large, in time.
bool AnswersPeer();

}  // namespace serai::testing
