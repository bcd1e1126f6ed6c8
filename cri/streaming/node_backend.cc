// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/node_backend.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"

namespace serai::cri::streaming {
namespace {

ConsolePiece PieceOf(ConsolePart part) {
  return ConsolePiece{std::move(part.data), part.next_offset, part.lost,
                      part.ended};
}

}  // namespace

absl::StatusOr<std::vector<std::string>> NodeBackend::PodAddresses(
    const std::string& pod) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> found, store_.FindPod(pod));
  const PodRecord record = found->record.Get();
  if (record.stopped() || !found->alive) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod ", pod, " is stopped"));
  }
  std::vector<std::string> addresses;
  for (const auto& address : record.network().addresses()) {
    addresses.push_back(address.address());
  }
  std::stable_partition(
      addresses.begin(), addresses.end(),
      [](const std::string& a) { return !absl::StrContains(a, ':'); });
  return addresses;
}

std::shared_ptr<const void> NodeBackend::WatchConsole(
    const std::string& container) {
  const auto found = store_.FindContainer(container);
  return found.ok() ? (*found)->console_end.Watch() : nullptr;
}

void NodeBackend::ReadConsole(
    const std::string& container, uint64_t offset,
    std::function<void(absl::StatusOr<ConsolePiece>)> done) {
  auto found = store_.FindContainer(container);
  if (!found.ok()) return done(found.status());
  const std::shared_ptr<Container> it = *std::move(found);
  const auto pod = store_.FindPod(it->pod_id);
  const std::shared_ptr<Shim> shim = pod.ok() ? (*pod)->shim() : nullptr;
  if (it->ended.HasBeenNotified() || shim == nullptr) {
    return done(PieceOf(it->console_end.After(offset)));
  }
  shim->ReadConsole(
      it->id, offset,
      [it, offset, done = std::move(done)](absl::StatusOr<ConsolePart> part) {
        // It has ended, and its shim has forgotten it already.
        if (absl::IsNotFound(part.status())) {
          part = it->console_end.After(offset);
        }
        if (!part.ok()) return done(part.status());
        done(PieceOf(*std::move(part)));
      });
}

}  // namespace serai::cri::streaming
