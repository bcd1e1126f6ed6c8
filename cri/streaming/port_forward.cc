// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/port_forward.h"

#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "cri/streaming/forwarded_connection.h"

namespace serai::cri::streaming {
namespace {

constexpr std::chrono::seconds kPairTimeout(30);

void Fail(Stream& error, const std::string& message) {
  error.Write(message, nullptr);
  error.CloseWrite();
}

// What the two streams of a pair have in common. Old clients give no request
// id; their data stream comes directly after its error stream.
std::string RequestOf(absl::string_view type, uint32_t id,
                      const spdy::Headers& headers) {
  const absl::string_view request = spdy::HeaderValue(headers, "requestid");
  if (!request.empty()) return absl::StrCat("request ", request);
  return absl::StrCat("stream ", type == "error" ? id : id - 2);
}

}  // namespace

void PortForward::OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                           const spdy::Headers& headers) {
  const absl::string_view type = spdy::HeaderValue(headers, "streamtype");
  const absl::string_view port_text = spdy::HeaderValue(headers, "port");
  if (type != "data" && type != "error") return stream->Reset();
  int port = 0;
  if (!absl::SimpleAtoi(port_text, &port) || port < 1 || port > 65535) {
    if (type == "data") return stream->Reset();
    return Fail(*stream, absl::StrCat("\"", port_text, "\" is no TCP port"));
  }
  const std::string request = RequestOf(type, id, headers);
  std::unique_ptr<Pair>& pair = pairs_[request];
  if (pair == nullptr) {
    pair = std::make_unique<Pair>(executor_);
    pair->timer.expires_after(kPairTimeout);
    pair->timer.async_wait(
        [weak = weak_from_this(), request](boost::system::error_code error) {
          const auto self = weak.lock();
          if (!error && self != nullptr) self->Expire(request);
        });
  }
  std::shared_ptr<Stream>& mine = type == "data" ? pair->data : pair->error;
  if (mine != nullptr) return stream->Reset();
  mine = std::move(stream);
  if (pair->data == nullptr || pair->error == nullptr) return;
  const std::unique_ptr<Pair> whole = std::move(pair);
  pairs_.erase(request);
  Forward(static_cast<uint16_t>(port), *whole);
}

void PortForward::Expire(const std::string& request) {
  const auto found = pairs_.find(request);
  if (found == pairs_.end()) return;
  const std::unique_ptr<Pair> pair = std::move(found->second);
  pairs_.erase(found);
  if (pair->error != nullptr) {
    Fail(*pair->error, "no data stream came within 30 s");
    pair->error->Discard();
  }
  if (pair->data != nullptr) pair->data->Reset();
}

void PortForward::Forward(uint16_t port, const Pair& pair) {
  if (forwarded_.use_count() > kMaxForwarded) {
    Fail(*pair.error, "too many connections are forwarded already");
    return pair.data->Reset();
  }
  std::make_shared<ForwardedConnection>(
      executor_, pod_, port, pair.data, pair.error,
      [slot = forwarded_, weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self == nullptr || self->connections_ == 0) return;
        if (--self->connections_ == 0) self->finish_();
      })
      ->Start(backend_.PodAddresses(pod_));
}

}  // namespace serai::cri::streaming
