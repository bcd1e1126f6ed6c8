// SPDX-License-Identifier: Apache-2.0
#pragma once

// One unary call that both servers are asked at once, and whose answers become
// one (answers.h). Deletes itself when the call is over.

#include <grpcpp/generic/async_generic_service.h>

#include <atomic>
#include <chrono>

#include "cri/passthrough/answers.h"
#include "cri/passthrough/relay.h"

namespace serai::cri {

class Gather final : public grpc::ServerGenericBidiReactor {
 public:
  // All but the rule must outlive the call.
  Gather(grpc::GenericCallbackServerContext& context, const Rule& rule,
         const Backends& backends, const Ours& ours);

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  struct Part {
    grpc::ClientContext context;
    Answered answer;
  };

  void Ask(Backend& backend, Part& part,
           std::chrono::system_clock::time_point patience =
               std::chrono::system_clock::time_point::max());
  void Arrived();

  grpc::GenericCallbackServerContext& context_;
  const Rule rule_;
  const Backends backends_;
  const Ours& ours_;
  grpc::ByteBuffer request_;
  Part local_;
  Part containerd_;
  Target target_ = Target::kBoth;
  std::atomic<int> awaited_ = 0;
  Answered answer_;
};

}  // namespace serai::cri
