// SPDX-License-Identifier: Apache-2.0
#pragma once

// One call that one of the two servers answers: messages go to it and back one
// by one, of any kind of method, and so do metadata, half-close, status and
// cancellation. At any time one message is held per direction: the next is read
// when the last is written. Deletes itself when the call is over.

#include <grpcpp/generic/async_generic_service.h>

#include "absl/synchronization/mutex.h"
#include "cri/passthrough/backend.h"
#include "cri/passthrough/routes.h"

namespace serai::cri {

struct Backends {
  Backend& local;
  Backend& containerd;
};

class Relay final : public grpc::ServerGenericBidiReactor {
 public:
  // All but the rule must outlive the call.
  Relay(grpc::GenericCallbackServerContext& context, const Rule& rule,
        const Backends& backends, const Ours& ours);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // The call to the backend.
  class Back final
      : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Back(Relay& relay) : relay_(relay) {}
    void OnReadInitialMetadataDone(bool ok) override;
    void OnReadDone(bool ok) override;
    void OnWriteDone(bool ok) override;
    void OnDone(const grpc::Status& status) override;

   private:
    Relay& relay_;
  };

  // By the first message, which may be missing.
  absl::StatusOr<Backend*> Choose() const;
  void StartBack(Backend& backend);

  grpc::GenericCallbackServerContext& context_;
  const Rule rule_;
  const Backends backends_;
  const Ours& ours_;
  Backend* backend_ = nullptr;  // once chosen
  grpc::ClientContext back_context_;
  Back back_{*this};
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  absl::Mutex mutex_;
  // Whether the backend still takes messages: its own reader holds the call
  // open until then.
  bool back_open_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace serai::cri
