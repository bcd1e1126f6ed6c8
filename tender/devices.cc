// SPDX-License-Identifier: Apache-2.0
#include "tender/devices.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "lib/solo5/unikernel.h"
#include "tender/reopen.h"
#include "tender/report.h"

namespace serai::tender {
namespace {

using solo5::DeviceType;
using solo5::Manifest;
using solo5::ManifestEntry;

constexpr uint16_t kDefaultMtu = 1500;
constexpr uint16_t kMinBlockSize = 512;

// A view is not terminated; system calls want it so.
class Terminated {
 public:
  explicit Terminated(std::string_view text) {
    if (text.size() >= sizeof(text_)) Fatal("Path too long");
    std::memcpy(text_, text.data(), text.size());
    text_[text.size()] = '\0';
  }
  const char* get() const { return text_; }

 private:
  char text_[PATH_MAX];
};

DeviceType TypeFor(DeviceOption::Kind kind) {
  return kind == DeviceOption::Kind::kBlock ||
                 kind == DeviceOption::Kind::kBlockSectorSize
             ? DeviceType::kBlock
             : DeviceType::kNet;
}

size_t FindHandle(const Manifest& manifest, const DeviceOption& option) {
  for (size_t i = 1; i < manifest.entry_count; ++i) {
    const ManifestEntry& entry = manifest.entries[i];
    if (entry.name == option.name && entry.type == TypeFor(option.kind)) {
      return i;
    }
  }
  Warn("Resource not declared in manifest: '%.*s'",
       static_cast<int>(option.name.size()), option.name.data());
  Fatal("Invalid option: `%s'", option.text);
}

[[noreturn]] void CannotAttach(const DeviceOption& option, int error) {
  Fatal("Could not attach interface: %s: %s", std::strchr(option.text, '=') + 1,
        std::strerror(error));
}

// Attaching to a tap that is not there would create it, so it is looked up
// first. Its MTU goes to *mtu.
void CheckInterface(const DeviceOption& option, const ifreq& wanted,
                    uint16_t* mtu) {
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) CannotAttach(option, errno);
  ifreq request = wanted;
  if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) {
    CannotAttach(option, errno);
  }
  if ((request.ifr_flags & (IFF_UP | IFF_RUNNING)) == 0) {
    CannotAttach(option, ENETDOWN);
  }
  request = wanted;
  if (::ioctl(socket, SIOCGIFMTU, &request) != 0) CannotAttach(option, errno);
  if (request.ifr_mtu < 0 || request.ifr_mtu > UINT16_MAX) {
    CannotAttach(option, ERANGE);
  }
  *mtu = static_cast<uint16_t>(request.ifr_mtu);
  ::close(socket);
}

int OpenInterface(const DeviceOption& option, uint16_t* mtu) {
  ifreq request = {};
  if (option.path.size() >= sizeof(request.ifr_name)) {
    CannotAttach(option, ENAMETOOLONG);
  }
  std::memcpy(request.ifr_name, option.path.data(), option.path.size());
  CheckInterface(option, request, mtu);
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) CannotAttach(option, errno);
  ifreq attached = request;
  attached.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd, TUNSETIFF, &attached) != 0) CannotAttach(option, errno);
  // The kernel takes a name with %d as a pattern.
  if (std::strcmp(attached.ifr_name, request.ifr_name) != 0) {
    CannotAttach(option, EINVAL);
  }
  return fd;
}

// A guest that reads a blocking descriptor with no frame in it would sleep past
// its timers.
void MakeNonBlocking(const DeviceOption& option) {
  const int flags = ::fcntl(option.fd, F_GETFL);
  if (flags < 0) CannotAttach(option, errno);
  if ((flags & O_NONBLOCK) != 0) return;
  if (::fcntl(option.fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    CannotAttach(option, errno);
  }
}

void RandomMac(uint8_t (&mac)[6]) {
  if (::getrandom(mac, sizeof(mac), 0) != sizeof(mac)) {
    Fatal("getrandom: %s", std::strerror(errno));
  }
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfe) | 2);  // local, one station
}

void AttachNet(const DeviceOption& option, ManifestEntry* entry,
               Device* device) {
  device->kind = Device::Kind::kNet;
  entry->net.mtu = kDefaultMtu;
  if (option.fd >= 0) {
    MakeNonBlocking(option);
    device->fd = option.fd;
    if (option.number != 0) {
      entry->net.mtu = static_cast<uint16_t>(option.number);
    }
  } else {
    device->fd = OpenInterface(option, &entry->net.mtu);
  }
  RandomMac(entry->net.mac);
}

// Waiting for the medium is a property of the open file, so that it holds for
// an spt guest too, which writes by itself. It can't be given to one that is
// open: the same file is opened once more.
int ReopenSynchronous(int fd) {
  const int again = Reopen(fd, O_RDWR | O_DSYNC);
  if (again < 0) {
    Fatal(
        "Could not open block device: @%d: %s: for --block-sync=full it has to "
        "be open with O_DSYNC, or to be opened so through /proc",
        fd, std::strerror(errno));
  }
  return again;
}

int OpenBlockPath(const DeviceOption& option, BlockSync sync) {
  const Terminated path(option.path);
  const int mode = option.read_only           ? O_RDONLY
                   : sync == BlockSync::kFull ? O_RDWR | O_DSYNC
                                              : O_RDWR;
  const int fd = ::open(path.get(), mode | O_CLOEXEC);
  if (fd >= 0) return fd;
  Fatal("Could not open block device: %s: %s%s", path.get(),
        std::strerror(errno),
        errno == EROFS || errno == EACCES ? " (:ro attaches read-only)" : "");
}

int OpenBlock(const DeviceOption& option, BlockSync sync) {
  if (option.fd < 0) return OpenBlockPath(option, sync);
  const int flags = ::fcntl(option.fd, F_GETFL);
  if (flags < 0) {
    Fatal("Could not open block device: @%d: %s", option.fd,
          std::strerror(errno));
  }
  if (option.read_only) return option.fd;
  if ((flags & O_ACCMODE) == O_RDONLY) {
    Fatal(
        "Could not open block device: @%d: is open for reading only; "
        "@%d:ro attaches it so",
        option.fd, option.fd);
  }
  if (sync == BlockSync::kFull && (flags & O_DSYNC) == 0) {
    return ReopenSynchronous(option.fd);
  }
  return option.fd;
}

// Bytes. What has no size, or one that means something else, is no device.
uint64_t BlockCapacity(const DeviceOption& option, int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    Fatal("%s: Could not determine capacity: %s", option.text,
          std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    Fatal("%s: is neither a file nor a block device", option.text);
  }
  const off_t capacity = ::lseek(fd, 0, SEEK_END);
  if (capacity < 0) {
    Fatal("%s: Could not determine capacity: %s", option.text,
          std::strerror(errno));
  }
  return static_cast<uint64_t>(capacity);
}

void AttachBlock(const DeviceOption& option, BlockSync sync,
                 ManifestEntry* entry, Device* device) {
  device->kind = Device::Kind::kBlock;
  device->read_only = option.read_only;
  device->fd = OpenBlock(option, sync);
  entry->block.capacity = BlockCapacity(option, device->fd);
  entry->block.block_size = solo5::kDefaultBlockSize;
}

void Attach(const DeviceOption& option, BlockSync sync, Manifest* manifest,
            DeviceTable* devices) {
  const size_t handle = FindHandle(*manifest, option);
  ManifestEntry* entry = &manifest->entries[handle];
  Device* device = &(*devices)[handle];
  if (entry->attached != 0) {
    Fatal("Device '%s' is attached twice: `%s'", entry->name, option.text);
  }
  std::memset(&entry->block, 0, sizeof(entry->block));
  if (option.kind == DeviceOption::Kind::kNet) {
    AttachNet(option, entry, device);
  } else {
    AttachBlock(option, sync, entry, device);
  }
  entry->tender_private = 0;
  entry->host_fd = device->fd;
  entry->attached = 1;
}

// Options that change a device may stand before the one that attaches it, so
// they have a turn of their own.
void Adjust(const DeviceOption& option, Manifest* manifest) {
  ManifestEntry* entry = &manifest->entries[FindHandle(*manifest, option)];
  if (option.kind == DeviceOption::Kind::kNetMac) {
    std::memcpy(entry->net.mac, option.mac, sizeof(option.mac));
  } else if (option.kind == DeviceOption::Kind::kNetMtu) {
    entry->net.mtu = static_cast<uint16_t>(option.number);
  } else {
    entry->block.block_size = static_cast<uint16_t>(option.number);
  }
}

bool IsAttaching(const DeviceOption& option) {
  return option.kind == DeviceOption::Kind::kNet ||
         option.kind == DeviceOption::Kind::kBlock;
}

void CheckBlock(const ManifestEntry& entry, Device* device) {
  const uint16_t size = entry.block.block_size;
  if (size < kMinBlockSize || (size & (size - 1)) != 0) {
    Fatal(
        "Block size must be a multiple of 2 greater than or equal 512: "
        "'%s' has %u (powers of two only)",
        entry.name, size);
  }
  if (entry.block.capacity < size || entry.block.capacity % size != 0) {
    Fatal(
        "Backing storage size must be block aligned: '%s' has %llu bytes, "
        "blocks of %u",
        entry.name, static_cast<unsigned long long>(entry.block.capacity),
        size);
  }
  device->block_size = size;
  device->capacity = entry.block.capacity;
}

void CheckAllAttached(const Manifest& manifest) {
  bool missing = false;
  for (size_t i = 1; i < manifest.entry_count; ++i) {
    const ManifestEntry& entry = manifest.entries[i];
    if (entry.attached != 0) continue;
    missing = true;
    Warn("Device '%s' of type %s declared but not attached.", entry.name,
         solo5::DeviceTypeName(entry.type));
  }
  if (missing) Fatal("All declared devices must be attached.");
}

}  // namespace

void OpenDevices(Options* options) {
  for (size_t i = 0; i < options->device_option_count; ++i) {
    DeviceOption* const option = &options->device_options[i];
    if (option->kind == DeviceOption::Kind::kBlock) {
      // One that is open may have to be opened anew, to be synced.
      option->fd = OpenBlock(*option, options->block_sync);
    } else if (option->kind == DeviceOption::Kind::kNet && option->fd < 0) {
      uint16_t mtu = 0;
      option->fd = OpenInterface(*option, &mtu);
      option->number = mtu;
    }
  }
}

DeviceTable AttachDevices(const Options& options, Manifest* manifest) {
  DeviceTable devices;
  const auto begin = options.device_options.begin();
  const auto end = begin + options.device_option_count;
  for (const DeviceOption* option = begin; option != end; ++option) {
    if (!IsAttaching(*option)) continue;
    Attach(*option, options.block_sync, manifest, &devices);
  }
  for (const DeviceOption* option = begin; option != end; ++option) {
    if (!IsAttaching(*option)) Adjust(*option, manifest);
  }
  CheckAllAttached(*manifest);
  for (size_t i = 1; i < manifest->entry_count; ++i) {
    if (devices[i].kind == Device::Kind::kBlock) {
      CheckBlock(manifest->entries[i], &devices[i]);
    }
  }
  return devices;
}

int CreateEventPoll(const DeviceTable& devices) {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) Fatal("epoll_create1: %s", std::strerror(errno));
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].kind != Device::Kind::kNet) continue;
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, devices[i].fd, &event) != 0) {
      Fatal("epoll_ctl: %s", std::strerror(errno));
    }
  }
  return poll;
}

}  // namespace serai::tender
