// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/ask_options.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/base/unique_fd.h"

namespace serai::guest {
namespace {

constexpr uint64_t kMib = 1 << 20;
// Most guests need a quarter of it for an answer.
constexpr uint64_t kUsualMemory = 64 * kMib;
constexpr uint64_t kHeap = 32 * kMib;
constexpr uint64_t kMaxMemory = 256 * kMib;
constexpr int kFirstDescriptor = 3;
constexpr size_t kSector = 512;
// As the shim's tenders run (ADR 0009).
constexpr int kTenderUser = 65533;
constexpr int kTenderFailed = 1;
constexpr int kKilled = 128;  // and more: by a signal, or it aborted
// MirageOS' status of a unikernel that was asked for help; others end with 0.
constexpr int kHelp = 63;

// What the tender is given, by the numbers that it has it under.
struct Command {
  std::vector<std::string> args;
  std::vector<UniqueFd> owned;
  std::vector<int> descriptors;

  std::string Pass(int fd) {
    descriptors.push_back(fd);
    return absl::StrCat("@", kFirstDescriptor + descriptors.size() - 1);
  }
  std::string Pass(UniqueFd fd) {
    owned.push_back(std::move(fd));
    return Pass(owned.back().get());
  }
};

// The end of a socket whose other end nobody reads: what the guest sends stays
// there until it is full.
absl::Status AddNet(const std::string& name, Command& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  command.owned.emplace_back(ends[1]);
  command.args.push_back(
      absl::StrCat("--net:", name, "=", command.Pass(UniqueFd(ends[0]))));
  return absl::OkStatus();
}

// One sector of zeros, which can't be written.
absl::Status AddBlock(const std::string& name, Command& command) {
  UniqueFd memory(::memfd_create("block", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return ErrnoStatus(errno, "memfd_create");
  if (::ftruncate(memory.get(), kSector) != 0) {
    return ErrnoStatus(errno, "ftruncate");
  }
  if (::fcntl(memory.get(), F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return ErrnoStatus(errno, "sealing a memfd");
  }
  command.args.push_back(absl::StrCat("--block:", name, "=",
                                      command.Pass(std::move(memory)), ":ro"));
  return absl::OkStatus();
}

absl::StatusOr<Command> MakeCommand(const AskRequest& request,
                                    uint64_t memory) {
  Command command;
  const std::string user = ::geteuid() == 0 ? absl::StrCat(",uid=", kTenderUser,
                                                           ",gid=", kTenderUser)
                                            : ",user";
  command.args = {absl::StrCat("--jail=ipc,uts,net,mount,pid", user,
                               ",parent=", ::getpid()),
                  absl::StrCat("--mem=", memory / kMib)};
  if (request.unikernel.target == solo5::Target::kHvt) {
    ASSIGN_OR_RETURN(UniqueFd kvm, OpenFile("/dev/kvm", O_RDWR));
    command.args.push_back(
        absl::StrCat("--kvm=", command.Pass(std::move(kvm))));
  }
  for (const solo5::ManifestEntry& entry : request.unikernel.Devices()) {
    if (entry.type == solo5::DeviceType::kNet) {
      RETURN_IF_ERROR(AddNet(entry.name, command));
    } else {
      RETURN_IF_ERROR(AddBlock(entry.name, command));
    }
  }
  command.args.insert(command.args.end(),
                      {"--", command.Pass(request.file), "--help=plain"});
  return command;
}

// A page that was cut short, or none, says nothing of the guest.
absl::StatusOr<GuestOptions> ReadAnswer(const SubprocessResult& result) {
  // Only the tender has a stderr, and says there why it could not run a guest.
  if (result.exit_code == kTenderFailed && !result.error_output.empty()) {
    return absl::FailedPreconditionError(
        absl::StripAsciiWhitespace(result.error_output));
  }
  if (result.exit_code >= kKilled ||
      (result.exit_code == kTenderFailed && result.output.empty())) {
    return absl::AbortedError(absl::StrCat(
        "it ended with status ", result.exit_code, " before it answered"));
  }
  if (result.exit_code != 0 && result.exit_code != kHelp) return GuestOptions();
  return ParseHelp(result.output);
}

}  // namespace

absl::StatusOr<GuestOptions> AskOptions(const AskRequest& request) {
  const uint64_t memory =
      std::max(kUsualMemory, request.unikernel.lowest_memory + kHeap);
  if (memory > kMaxMemory) return GuestOptions();
  ASSIGN_OR_RETURN(const Command command, MakeCommand(request, memory));
  SubprocessSpec spec;
  spec.program = request.tender;
  spec.args = command.args;
  spec.descriptors = command.descriptors;
  spec.timeout =
      request.unikernel.target == solo5::Target::kHvt ? kHvtAnswer : kSptAnswer;
  spec.max_output = kMaxHelpBytes;
  const absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  // It says too much.
  if (absl::IsOutOfRange(result.status())) return GuestOptions();
  RETURN_IF_ERROR(result.status());
  return ReadAnswer(*result);
}

}  // namespace serai::guest
