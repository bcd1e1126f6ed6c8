// SPDX-License-Identifier: Apache-2.0
#include "lib/host/tap_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "lib/base/file.h"

namespace serai::host {
namespace {

ifreq TapRequest(const std::string& name, int more_flags) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags =
      static_cast<short>(IFF_TAP | IFF_NO_PI | more_flags);  // NOLINT
  return request;
}

}  // namespace

absl::StatusOr<UniqueFd> OpenNewTap(const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile("/dev/net/tun", O_RDWR));
  ifreq request = TapRequest(name, IFF_TUN_EXCL);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    // The kernel's word for a link that is there already.
    if (errno == EBUSY) errno = EEXIST;
    return ErrnoStatus(errno, absl::StrCat("making tap ", name));
  }
  return fd;
}

absl::Status MakeLasting(const UniqueFd& tap, bool lasting) {
  if (::ioctl(tap.get(), TUNSETPERSIST, lasting ? 1 : 0) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(
      errno, lasting ? "making the tap persistent" : "letting go of the tap");
}

absl::StatusOr<UniqueFd> HoldTap(const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile("/dev/net/tun", O_RDWR));
  ifreq request = TapRequest(name, 0);
  if (::ioctl(fd.get(), TUNSETIFF, &request) == 0) return fd;
  if (errno == EBUSY) {
    return absl::FailedPreconditionError(absl::StrCat(name, " is in use"));
  }
  return ErrnoStatus(errno, absl::StrCat("taking ", name));
}

bool IsTap(rtnl_link* link) {
  const char* kind = ::rtnl_link_get_type(link);
  return kind != nullptr && absl::string_view(kind) == "tun";
}

absl::Status CheckIsTap(rtnl_link* link, const std::string& name) {
  if (IsTap(link)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(name, " is not a tap: left alone"));
}

std::string AliasOf(rtnl_link* link) {
  const char* alias = ::rtnl_link_get_ifalias(link);
  return alias == nullptr ? "" : alias;
}

absl::Status Silence(const std::string& link) {
  const absl::Status status = WriteControlFile(
      absl::StrCat("/proc/sys/net/ipv6/conf/", link, "/disable_ipv6"), "1");
  return absl::IsNotFound(status) ? absl::OkStatus() : status;  // no IPv6 here
}

absl::Status BringUp(nl_sock* socket, rtnl_link* link, unsigned int mtu,
                     const std::string& alias) {
  const NetlinkPtr<rtnl_link> change(::rtnl_link_alloc());
  if (change == nullptr) {
    return absl::ResourceExhaustedError("netlink message: out of memory");
  }
  ::rtnl_link_set_flags(change.get(), IFF_UP);
  if (mtu != 0) ::rtnl_link_set_mtu(change.get(), mtu);
  if (!alias.empty()) ::rtnl_link_set_ifalias(change.get(), alias.c_str());
  const int error = ::rtnl_link_change(socket, link, change.get(), 0);
  if (error < 0) {
    return NetlinkStatus(
        error, absl::StrCat("bringing up ", ::rtnl_link_get_name(link)));
  }
  return absl::OkStatus();
}

absl::Status DeleteLink(nl_sock* socket, rtnl_link* link) {
  const int error = ::rtnl_link_delete(socket, link);
  if (error < 0 && error != -NLE_NODEV && error != -NLE_OBJ_NOTFOUND) {
    return NetlinkStatus(error,
                         absl::StrCat("deleting ", ::rtnl_link_get_name(link)));
  }
  return absl::OkStatus();
}

}  // namespace serai::host
