// SPDX-License-Identifier: Apache-2.0
#include "shim/control_service.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "lib/solo5/unikernel.h"
#include "shim/wire.h"

namespace serai::shim {
namespace {

// A protobuf string is UTF-8, and what a guest made its tender say may not be.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c)) && c != '\n') {
      c = '?';
    }
  }
  return text;
}

void AddGuest(const GuestTask& guest, v1::InfoResponse& response) {
  response.set_oom_killed(guest.oom_killed());
  response.set_message(Printable(guest.last_words()));
  response.set_log_lines_dropped(guest.log_lines_dropped());
  response.set_target(solo5::TargetName(guest.target()));
  response.set_last_signal(static_cast<uint32_t>(guest.last_signal()));
}

}  // namespace

void ControlService::Handle(const ttrpc::Call& call,
                            const ttrpc::Server::Reply& reply) {
  if (call.method == "Attach") {
    RunLater(*this, &ControlService::Attach, call.request, reply);
  } else if (call.method == "Snapshot") {
    RunLater(*this, &ControlService::Snapshot, call.request, reply);
  } else if (call.method == "Devices") {
    RunLater(*this, &ControlService::Devices, call.request, reply);
  } else {
    reply(Answer(call));
  }
}

absl::StatusOr<std::string> ControlService::Answer(const ttrpc::Call& call) {
  const auto run = [&](auto method) {
    return Run(*this, method, call.request);
  };
  if (call.method == "List") return run(&ControlService::List);
  if (call.method == "Info") return run(&ControlService::Info);
  if (call.method == "ReopenLog") return run(&ControlService::ReopenLog);
  return UnknownMethod(call);
}

absl::StatusOr<v1::ListResponse> ControlService::List(
    const wire::Empty& /*request*/) {
  v1::ListResponse response;
  response.set_shim_pid(ToWire(::getpid()));
  for (const auto& [id, task] : pod_.tasks()) response.add_ids(id);
  return response;
}

absl::StatusOr<v1::InfoResponse> ControlService::Info(
    const v1::InfoRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, pod_.Find(request.id()));
  v1::InfoResponse response;
  response.set_pid(ToWire(found->pid()));
  response.set_status(found->status());
  if (found->started_at()) {
    *response.mutable_started_at() = ToWire(*found->started_at());
  }
  if (found->exit()) {
    response.set_exit_status(found->exit()->status);
    response.set_ending(std::string(EndingName(found->exit()->ending)));
  }
  if (found->guest() != nullptr) AddGuest(*found->guest(), response);
  return response;
}

absl::StatusOr<wire::Empty> ControlService::ReopenLog(
    const v1::ReopenLogRequest& request) {
  ASSIGN_OR_RETURN(GuestTask* const found, pod_.FindGuest(request.id()));
  RETURN_IF_ERROR(found->ReopenLog(), "task ", request.id());
  return wire::Empty();
}

void ControlService::Attach(const v1::AttachRequest& request,
                            Done<v1::AttachResponse> done) {
  const absl::StatusOr<GuestTask*> found = pod_.FindGuest(request.id());
  if (!found.ok()) return done(found.status());
  (*found)->console().Read(
      request.offset(),
      [done = std::move(done)](const ConsoleTail::Piece& piece) {
        v1::AttachResponse response;
        response.set_data(piece.data.data(), piece.data.size());
        response.set_next_offset(piece.next_offset);
        response.set_lost(piece.lost);
        response.set_ended(piece.ended);
        done(response);
      });
}

void ControlService::Snapshot(const v1::SnapshotRequest& request,
                              Done<v1::SnapshotResponse> done) {
  const absl::StatusOr<GuestTask*> found = pod_.FindGuest(request.id());
  if (!found.ok()) return done(found.status());
  (*found)->Snapshot(request.path(), std::move(done));
}

void ControlService::Devices(const v1::DevicesRequest& request,
                             Done<v1::DevicesResponse> done) {
  const absl::StatusOr<GuestTask*> found = pod_.FindGuest(request.id());
  if (!found.ok()) return done(found.status());
  (*found)->Devices(std::move(done));
}

}  // namespace serai::shim
