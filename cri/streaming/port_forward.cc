// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/port_forward.h"

#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "cri/streaming/forwarded_connection.h"

namespace serai::cri::streaming {
namespace {

constexpr std::chrono::seconds kPairTimeout(30);
// Clients count.
constexpr size_t kMaxRequestBytes = 64;

void Fail(Stream& error, const std::string& message) {
  error.Write(message, nullptr);
  error.CloseWrite();
  error.Discard();
}

absl::StatusOr<uint16_t> PortOf(const spdy::Headers& headers) {
  const absl::string_view text = spdy::HeaderValue(headers, "port");
  int port = 0;
  if (!absl::SimpleAtoi(text, &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no TCP port"));
  }
  return static_cast<uint16_t>(port);
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
  if (type != "data" && type != "error") return stream->Reset();
  absl::StatusOr<uint16_t> port = PortOf(headers);
  if (spdy::HeaderValue(headers, "requestid").size() > kMaxRequestBytes) {
    port = absl::InvalidArgumentError(absl::StrCat(
        "the request id is longer than ", kMaxRequestBytes, " bytes"));
  }
  if (!port.ok()) {
    if (type == "data") return stream->Reset();
    return Fail(*stream, std::string(port.status().message()));
  }
  const std::string request = RequestOf(type, id, headers);
  std::unique_ptr<Pair>& pair = pairs_[request];
  if (pair == nullptr) pair = NewPair(request);
  std::shared_ptr<Stream>& mine = type == "data" ? pair->data : pair->error;
  if (mine != nullptr) return stream->Reset();
  mine = std::move(stream);
  if (pair->data != nullptr && pair->error != nullptr) {
    return Forward(*port, *TakePair(request));
  }
  // One that was reset is no half of anything, and is not kept for 30 s.
  mine->OnAbort([weak = weak_from_this(), request] {
    if (const auto self = weak.lock()) self->pairs_.erase(request);
  });
}

std::unique_ptr<PortForward::Pair> PortForward::NewPair(
    const std::string& request) {
  auto pair = std::make_unique<Pair>(executor_);
  pair->timer.expires_after(kPairTimeout);
  pair->timer.async_wait(
      [weak = weak_from_this(), request](boost::system::error_code error) {
        const auto self = weak.lock();
        if (!error && self != nullptr) self->Expire(request);
      });
  return pair;
}

std::unique_ptr<PortForward::Pair> PortForward::TakePair(
    const std::string& request) {
  const auto found = pairs_.find(request);
  if (found == pairs_.end()) return nullptr;
  std::unique_ptr<Pair> pair = std::move(found->second);
  pairs_.erase(found);
  // The next one with this request id is none of theirs.
  if (pair->data != nullptr) pair->data->OnAbort(nullptr);
  if (pair->error != nullptr) pair->error->OnAbort(nullptr);
  return pair;
}

void PortForward::Expire(const std::string& request) {
  const std::unique_ptr<Pair> pair = TakePair(request);
  if (pair == nullptr) return;
  if (pair->error != nullptr) {
    Fail(*pair->error, "no data stream came within 30 s");
  }
  if (pair->data != nullptr) pair->data->Reset();
}

void PortForward::Forward(uint16_t port, const Pair& pair) {
  if (forwarded_.use_count() > kMaxForwarded) {
    Fail(*pair.error, "too many connections are forwarded already");
    pair.data->Reset();
    return OnEnd();
  }
  const auto connection = std::make_shared<ForwardedConnection>(
      executor_, pod_, port, pair.data, pair.error,
      [slot = forwarded_, weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->OnEnd();
      });
  std::erase_if(open_, [](const auto& other) { return other.expired(); });
  open_.push_back(connection);
  connection->Start(backend_.PodAddresses(pod_));
}

void PortForward::OnEnd() {
  if (connections_ != 0 && --connections_ == 0) finish_();
}

void PortForward::OnClosed() {
  pairs_.clear();
  for (const auto& open : std::exchange(open_, {})) {
    if (const auto connection = open.lock()) connection->Close();
  }
}

}  // namespace serai::cri::streaming
