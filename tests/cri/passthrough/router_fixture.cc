// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/passthrough/router_fixture.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "absl/time/clock.h"
#include "cri/rpc/socket.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {

std::string Method(const std::string& name) {
  return "/runtime.v1.RuntimeService/" + name;
}

grpc::Status LocalService::Version(grpc::ServerContext*,
                                   const v1::VersionRequest*,
                                   v1::VersionResponse* response) {
  response->set_runtime_name("serai");
  return grpc::Status::OK;
}

grpc::Status LocalService::ListPodSandbox(
    grpc::ServerContext*, const v1::ListPodSandboxRequest* request,
    v1::ListPodSandboxResponse* response) {
  if (list_fails) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "our list fails");
  }
  const v1::PodSandboxFilter& filter = request->filter();
  const bool fits = filter.id().empty() || filter.id() == kOurPod;
  const bool ready =
      !filter.has_state() || filter.state().state() == v1::SANDBOX_READY;
  if (fits && ready) response->add_items()->set_id(kOurPod);
  return grpc::Status::OK;
}

grpc::Status LocalService::StreamPodSandboxes(
    grpc::ServerContext*, const v1::StreamPodSandboxesRequest*,
    grpc::ServerWriter<v1::StreamPodSandboxesResponse>* writer) {
  v1::StreamPodSandboxesResponse response;
  response.add_pod_sandboxes()->set_id(kOurPod);
  writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status LocalService::GetContainerEvents(
    grpc::ServerContext* context, const v1::GetEventsRequest*,
    grpc::ServerWriter<v1::ContainerEventResponse>* writer) {
  v1::ContainerEventResponse event;
  event.set_container_id(kOurContainer);
  while (!context->IsCancelled() && (quiet || writer->Write(event))) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  return grpc::Status::OK;
}

grpc::Status LocalService::PodSandboxStatus(
    grpc::ServerContext* context, const v1::PodSandboxStatusRequest*,
    v1::PodSandboxStatusResponse* response) {
  context->AddInitialMetadata("early", "e");
  context->AddTrailingMetadata("late-bin", std::string("\0l", 2));
  response->mutable_status()->set_id(kOurPod);
  return grpc::Status::OK;
}

grpc::Status LocalService::Status(grpc::ServerContext*,
                                  const v1::StatusRequest*,
                                  v1::StatusResponse* response) {
  for (const char* type : {"RuntimeReady", "NetworkReady"}) {
    auto* condition = response->mutable_status()->add_conditions();
    condition->set_type(type);
    condition->set_status(true);
  }
  response->add_runtime_handlers()->set_name(kOurHandler);
  return grpc::Status::OK;
}

void RouterTest::SetUp() {
  containerd_.Start();
  ASSERT_OK_AND_ASSIGN(
      router_,
      cri::Router::Start(
          {containerd_socket_, directory_ / "local.sock", {&local_}}, ours_));
  grpc::ServerBuilder builder;
  const std::string address = "unix:" + (directory_ / "seraid.sock");
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  cri::SetLimits(builder);
  builder.RegisterCallbackGenericService(router_.get());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(-1);
  args.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), args);
}

RouterTest::~RouterTest() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

Outcome RouterTest::Exchange(const std::string& method,
                             const std::vector<std::string>& requests,
                             const Metadata& metadata) {
  return GenericCall(channel_, method, metadata).Exchange(requests);
}

v1::StatusResponse RouterTest::StatusOfNode() {
  const Outcome outcome = Exchange(Method("Status"));
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  v1::StatusResponse response;
  if (!outcome.messages.empty()) {
    EXPECT_TRUE(response.ParseFromString(outcome.messages[0]));
  }
  return response;
}

}  // namespace serai::testing
