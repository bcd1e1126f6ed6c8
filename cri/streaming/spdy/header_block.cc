// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/header_block.h"

// Input is only read.
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

#include "absl/strings/ascii.h"
#include "cri/streaming/spdy/bytes.h"
#include "cri/streaming/spdy/dictionary.h"

namespace serai::cri::spdy {
namespace {

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("a header block ", what));
}

// Headers are few and small: with a window of 2 KiB instead of 32, and half the
// hash table, a session's compressor takes 12 KiB instead of 256.
constexpr int kWindowBits = 11;
constexpr int kMemoryLevel = 2;

const Bytef* BytesOf(absl::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

uInt SizeOf(absl::string_view text) { return static_cast<uInt>(text.size()); }

// Takes a string with its length before it off `block`.
bool TakeString(absl::string_view& block, std::string& out) {
  if (block.size() < 4) return false;
  const size_t size = Read32(block);
  block.remove_prefix(4);
  if (block.size() < size) return false;
  out.assign(block.data(), size);
  block.remove_prefix(size);
  return true;
}

}  // namespace

absl::string_view HeaderValue(const Headers& headers, absl::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

absl::StatusOr<Headers> ParseHeaderBlock(absl::string_view block) {
  if (block.size() < 4) return Bad("ends early");
  const uint32_t count = Read32(block);
  block.remove_prefix(4);
  if (count > kMaxHeaders) {
    return Bad(absl::StrCat("has ", count, " headers; at most ", kMaxHeaders,
                            " are taken"));
  }
  Headers headers;
  for (uint32_t i = 0; i < count; ++i) {
    std::string name;
    std::string value;
    if (!TakeString(block, name) || !TakeString(block, value)) {
      return Bad("ends early");
    }
    if (name.empty()) return Bad("has a header without a name");
    if (std::any_of(name.begin(), name.end(), [](char c) {
          return absl::ascii_isupper(static_cast<unsigned char>(c));
        })) {
      return Bad("has a name with capital letters");
    }
    for (const auto& header : headers) {
      if (header.first == name) return Bad("has a header twice");
    }
    headers.emplace_back(std::move(name), std::move(value));
  }
  if (!block.empty()) return Bad("goes on after its last header");
  return headers;
}

std::string BuildHeaderBlock(const Headers& headers) {
  std::string block;
  Append32(block, static_cast<uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    Append32(block, static_cast<uint32_t>(name.size()));
    block += name;
    Append32(block, static_cast<uint32_t>(value.size()));
    block += value;
  }
  return block;
}

struct HeaderDecoder::Zlib {
  z_stream stream = {};
};

HeaderDecoder::HeaderDecoder() : zlib_(std::make_unique<Zlib>()) {
  if (inflateInit(&zlib_->stream) != Z_OK) throw std::bad_alloc();
}

HeaderDecoder::~HeaderDecoder() { inflateEnd(&zlib_->stream); }

absl::StatusOr<Headers> HeaderDecoder::Decode(absl::string_view compressed) {
  if (broken_) return Bad("comes after one that is none");
  absl::StatusOr<std::string> block = Inflate(compressed);
  absl::StatusOr<Headers> headers =
      block.ok() ? ParseHeaderBlock(*block) : block.status();
  broken_ = !headers.ok();
  return headers;
}

absl::StatusOr<std::string> HeaderDecoder::Inflate(
    absl::string_view compressed) {
  z_stream& stream = zlib_->stream;
  stream.next_in = BytesOf(compressed);
  stream.avail_in = SizeOf(compressed);
  std::string out;
  std::array<char, 1024> piece;
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    int result = inflate(&stream, Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT) {
      if (stream.adler != kDictionaryId) return Bad("wants another dictionary");
      result = inflateSetDictionary(&stream, BytesOf(Dictionary()),
                                    SizeOf(Dictionary()));
      if (result != Z_OK) return Bad("is not zlib's");
      continue;
    }
    // A stream that ends is over, and so would be the session's headers.
    if (result != Z_OK && result != Z_BUF_ERROR) return Bad("is not zlib's");
    const size_t size = piece.size() - stream.avail_out;
    if (out.size() + size > kMaxInflatedBytes) {
      return Bad(absl::StrCat("is larger than ", kMaxInflatedBytes,
                              " bytes when inflated"));
    }
    out.append(piece.data(), size);
    if (stream.avail_out != 0) break;
  }
  if (stream.avail_in != 0) return Bad("is not zlib's");
  return out;
}

struct HeaderEncoder::Zlib {
  z_stream stream = {};
};

HeaderEncoder::HeaderEncoder() : zlib_(std::make_unique<Zlib>()) {
  z_stream& stream = zlib_->stream;
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindowBits, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK ||
      deflateSetDictionary(&stream, BytesOf(Dictionary()),
                           SizeOf(Dictionary())) != Z_OK) {
    throw std::bad_alloc();
  }
}

HeaderEncoder::~HeaderEncoder() { deflateEnd(&zlib_->stream); }

std::string HeaderEncoder::Encode(const Headers& headers) {
  const std::string block = BuildHeaderBlock(headers);
  z_stream& stream = zlib_->stream;
  stream.next_in = BytesOf(block);
  stream.avail_in = SizeOf(block);
  std::string out;
  std::array<char, 1024> piece;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    // Never fails: there is room, and the stream is not at its end.
    deflate(&stream, Z_SYNC_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

}  // namespace serai::cri::spdy
