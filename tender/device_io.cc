// SPDX-License-Identifier: Apache-2.0
#include "tender/device_io.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "tender/system_call.h"

namespace serai::tender {
namespace {

using solo5::Result;

bool IsWithin(const Device& device, uint64_t offset, uint64_t size) {
  return offset < device.capacity && size <= device.capacity - offset;
}

// Goes on after short transfers, which says nothing of the rest: a signal, or
// more than the kernel moves at once. Whether all was done.
template <typename Transfer>
bool TransferAll(uint64_t offset, uint64_t size, Transfer transfer) {
  for (uint64_t done = 0; done < size;) {
    const ssize_t n =
        transfer(done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace

Result SendFrame(const Device& device, const uint8_t* data, size_t size,
                 DeviceCounters* counters) {
  const long n =
      SystemCall(SYS_write, AsArgument(device.fd), AsArgument(data), size);
  if (n >= 0 && static_cast<size_t>(n) == size) {
    Count(&counters->writes, 1);
    Count(&counters->bytes_written, size);
  } else {
    Count(&counters->refused, 1);
  }
  return Result::kOk;
}

Result ReceiveFrame(const Device& device, uint8_t* data, uint64_t* size,
                    DeviceCounters* counters) {
  const long n =
      SystemCall(SYS_read, AsArgument(device.fd), AsArgument(data), *size);
  if (n > 0) {
    *size = static_cast<uint64_t>(n);
    Count(&counters->reads, 1);
    Count(&counters->bytes_read, *size);
    return Result::kOk;
  }
  if (n == 0 || n == -EAGAIN || n == -EINTR) return Result::kAgain;
  Count(&counters->refused, 1);
  return Result::kError;
}

Result ReadBlocks(const Device& device, uint64_t offset, uint8_t* data,
                  uint64_t size, DeviceCounters* counters) {
  if (!IsWithin(device, offset, size)) return Result::kInvalid;
  const bool done =
      TransferAll(offset, size, [&](uint64_t at, size_t left, off_t place) {
        return ::pread(device.fd, data + at, left, place);
      });
  if (!done) {
    Count(&counters->refused, 1);
    return Result::kError;
  }
  Count(&counters->reads, 1);
  Count(&counters->bytes_read, size);
  return Result::kOk;
}

Result WriteBlocks(const Device& device, uint64_t offset, const uint8_t* data,
                   uint64_t size, DeviceCounters* counters) {
  if (!IsWithin(device, offset, size)) return Result::kInvalid;
  const bool done =
      !device.read_only &&
      TransferAll(offset, size, [&](uint64_t at, size_t left, off_t place) {
        return ::pwrite(device.fd, data + at, left, place);
      });
  if (!done) {
    Count(&counters->refused, 1);
    return Result::kError;
  }
  Count(&counters->writes, 1);
  Count(&counters->bytes_written, size);
  return Result::kOk;
}

}  // namespace serai::tender
