// SPDX-License-Identifier: Apache-2.0
#pragma once

// One server-streaming call that both servers answer, in one stream.
//
// A list comes from containerd first and then, when that has ended well, from
// seraid, so that a containerd that fails makes the list fail.
//
// Events come from both as they happen. A stream that has lost containerd goes
// on with our pods' events. What became of containerd's pods meanwhile is in no
// event, so the stream ends when containerd is back, with UNAVAILABLE: clients
// then list anew and ask again, as they do when containerd itself restarts.
//
// Of each server one message is held. Deletes itself when the call is over.

#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>

#include <deque>
#include <memory>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "cri/passthrough/backend.h"
#include "cri/passthrough/relay.h"

namespace serai::cri {

class Braid final : public grpc::ServerGenericBidiReactor {
 public:
  // All but the rule must outlive the call.
  Braid(grpc::GenericCallbackServerContext& context, const Rule& rule,
        const Backends& backends, const Ours& ours);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // The call to one of the two.
  class Strand final
      : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    Strand(Braid& braid, Backend& backend) : braid_(braid), backend_(backend) {}

    void Start();
    void ReadNext() { StartRead(&message_); }
    const grpc::ByteBuffer& message() const { return message_; }
    grpc::ClientContext& context() { return context_; }

    void OnReadInitialMetadataDone(bool ok) override;
    void OnReadDone(bool ok) override;
    void OnDone(const grpc::Status& status) override;

   private:
    Braid& braid_;
    Backend& backend_;
    grpc::ClientContext context_;
    grpc::ByteBuffer message_;
  };

  // Asks whether containerd is back, again and again.
  struct Probe {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer response;
  };

  void Begin(Strand& strand) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Arrived(Strand& strand);
  void Ended(Strand& strand, const grpc::Status& status);
  void ListEnded(Strand& strand, const grpc::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EventsEnded(Strand& strand, const grpc::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartProbe() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Probed(const grpc::Status& status);
  void WaitToProbe() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The stream's end, when it is the first to be decided; ends all that runs.
  void Decide(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One of what was begun is over; the last one ends the call.
  void Over();

  grpc::GenericCallbackServerContext& context_;
  const Rule rule_;
  const Backends backends_;
  const Ours& ours_;
  grpc::ByteBuffer request_;
  Strand local_;
  Strand containerd_;
  Target target_ = Target::kBoth;

  absl::Mutex mutex_;
  // With a message to be written; the first one's is being written.
  std::deque<Strand*> ready_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<grpc::Status> decided_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Probe> probe_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
