// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "tender/hvt/snapshot_processor.h"
#include "tender/hvt/snapshot_reader.h"
#include "tender/hvt/state_file.h"
#include "tender/policy/hvt.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

using policy::Situation;
using policy::Slot;

uint64_t AddressOf(const char* name) {
  return reinterpret_cast<uintptr_t>(name);
}

// Which memory file is that of the snapshot in the directory. One that this
// tender can't read may still be another's: it is not replaced.
uint32_t NumberOfPresent(int directory, const char* path) {
  struct stat status = {};
  if (::fstatat(directory, kMachineName, &status, AT_SYMLINK_NOFOLLOW) != 0 &&
      errno == ENOENT) {
    return 1;
  }
  static SnapshotState state;
  solo5::Error error;
  if (ReadMachine(directory, &state, &error)) return state.memory_number;
  Fatal("--snapshot-to: %s: %s; what is there is not replaced", path,
        error.message);
}

bool IsSocket(int fd) {
  struct stat status = {};
  return fd >= 0 && ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

SnapshotWriter::SnapshotWriter(const Place& place, const MemoryWriter* memory)
    : memory_(memory) {
  if (IsSocket(place.fd)) {
    inbox_ = place.fd;
    // What stands at directory_ while there is no directory.
    directory_ = ::fcntl(inbox_, F_DUPFD_CLOEXEC, 0);
    if (directory_ < 0) Fatal("fcntl: %s", std::strerror(errno));
  } else {
    OpenDirectoryOf(place);
  }
  if (::getrandom(id_.data(), sizeof(id_), 0) != sizeof(id_)) {
    Fatal("getrandom: %s", std::strerror(errno));
  }
  // A limit to the size of files is an error like any other.
  ::signal(SIGXFSZ, SIG_IGN);
}

void SnapshotWriter::OpenDirectoryOf(const Place& place) {
  directory_ = OpenDirectory(place, "--snapshot-to");
  if (::flock(directory_, LOCK_EX | LOCK_NB) != 0) {
    Fatal("--snapshot-to: %s: %s", place.path,
          errno == EWOULDBLOCK ? "another guest's snapshots go there"
                               : std::strerror(errno));
  }
  memory_number_ = NumberOfPresent(directory_, place.path);
}

void SnapshotWriter::Bind(Bindings* bindings) {
  file_ = NextDescriptor(directory_);
  bindings->Have(Situation::kSnapshot)
      .Set(Slot::kSnapshotDirectoryFd, directory_)
      .Set(Slot::kSnapshotFd, file_)
      .Set(Slot::kMemoryName0, AddressOf(kMemoryName0))
      .Set(Slot::kMemoryName1, AddressOf(kMemoryName1))
      .Set(Slot::kNewMachineName, AddressOf(kNewMachineName))
      .Set(Slot::kMachineName, AddressOf(kMachineName));
  if (inbox_ < 0) return;
  bindings->Have(Situation::kSnapshotInbox).Set(Slot::kSnapshotInboxFd, inbox_);
}

// A descriptor that comes gets the number file_, and there is room for one.
bool SnapshotWriter::Receive(const char** failed) {
  *failed = "receiving the directory";
  char byte = 0;
  iovec data = {&byte, sizeof(byte)};
  alignas(cmsghdr) char control[CMSG_LEN(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (::recvmsg(inbox_, &message, policy::kReceiveDirectory) < 0) return false;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(fd))) {
    std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  }
  if (fd != file_) {
    errno = EBADMSG;
    return false;
  }
  const bool placed = ::dup3(fd, directory_, O_CLOEXEC) == directory_;
  Close(false);
  memory_number_ = 1;
  return placed;
}

void SnapshotWriter::LetGo() const {
  const int saved = errno;
  ::dup3(inbox_, directory_, O_CLOEXEC);
  errno = saved;
}

void SnapshotWriter::Remove(const char* name) const {
  const int saved = errno;
  ::unlinkat(directory_, name, 0);
  errno = saved;
}

// Opens a new file as file_.
bool SnapshotWriter::Create(const char* name) const {
  Remove(name);  // what a tender left that was killed
  const int fd =
      ::openat(directory_, name, policy::kNewFile, policy::kNewFileMode);
  if (fd == file_) return true;
  // The filter lets nothing be done with another.
  if (fd >= 0) errno = EBADFD;
  return false;
}

bool SnapshotWriter::Close(bool sync) const {
  const bool synced = !sync || ::fsync(file_) == 0;
  const int saved = errno;
  ::close(file_);
  errno = saved;
  return synced;
}

int64_t SnapshotWriter::WriteMemory(SnapshotState* state,
                                    const char** failed) const {
  *failed = "creating the memory file";
  if (!Create(MemoryName(state->memory_number))) return -1;
  static MemoryTrailer trailer;
  trailer.magic = kSnapshotMagic;
  trailer.id = state->id;
  ExtentList extents;
  *failed = "writing the memory file";
  const int64_t bytes = memory_->Write(file_, &extents);
  const bool written =
      bytes >= 0 && WriteAt(file_, &trailer, sizeof(trailer), state->memory);
  if (!Close(written) || !written) return -1;
  state->extent_count = static_cast<uint32_t>(extents.ranges().size());
  std::memcpy(state->extents, extents.ranges().data(),
              extents.ranges().size_bytes());
  return bytes + static_cast<int64_t>(sizeof(trailer));
}

bool SnapshotWriter::WriteMachine(const SnapshotState& state,
                                  const char** failed) const {
  *failed = "creating the machine file";
  if (!Create(kNewMachineName)) return false;
  *failed = "writing the machine file";
  const bool written = WriteAt(file_, &state, sizeof(state), 0);
  if (!Close(written) || !written) return false;
  *failed = "renaming the machine file";
  return ::renameat(directory_, kNewMachineName, directory_, kMachineName) == 0;
}

int64_t SnapshotWriter::Write(SnapshotState* state, const char** failed) {
  if (inbox_ < 0) return WriteBoth(state, failed);
  if (!Receive(failed)) return -1;
  const int64_t bytes = WriteBoth(state, failed);
  LetGo();
  return bytes;
}

int64_t SnapshotWriter::WriteBoth(SnapshotState* state, const char** failed) {
  const uint32_t number = 1 - memory_number_;
  ++id_[1];
  state->magic = kSnapshotMagic;
  state->version = kSnapshotVersion;
  state->size = sizeof(*state);
  state->id = id_;
  state->memory_number = number;
  const int64_t bytes = WriteMemory(state, failed);
  if (bytes < 0) {
    Remove(MemoryName(number));
    return -1;
  }
  state->checksum = Checksum(*state);
  if (!WriteMachine(*state, failed)) {
    Remove(kNewMachineName);
    Remove(MemoryName(number));
    return -1;
  }
  // From here on the new one is the one. Guests of the old one keep its file.
  // Its name goes when the new one is sure to be found after a power failure.
  const uint32_t old = memory_number_;
  memory_number_ = number;
  if (::fsync(directory_) == 0) Remove(MemoryName(old));
  return bytes + static_cast<int64_t>(sizeof(*state));
}

}  // namespace serai::tender::hvt
