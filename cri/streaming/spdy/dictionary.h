// SPDX-License-Identifier: Apache-2.0
#pragma once

// The dictionary that both ends of a SPDY/3 session prime zlib with (SPDY
// Protocol, Draft 3, 2.6.10.1): words that headers are likely to have.

#include <string>

namespace serai::cri::spdy {

// Its Adler-32, by which zlib names it at the beginning of a stream.
inline constexpr unsigned long kDictionaryId = 0xe3c6a7c2;

// 1423 bytes.
const std::string& Dictionary();

}  // namespace serai::cri::spdy
