// SPDX-License-Identifier: Apache-2.0
#include "lib/host/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netlink/errno.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/cls/u32.h>
#include <netlink/route/tc.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"

namespace serai::host {
namespace {

// The redirect is found again by its priority, which nobody else is likely to
// use; filters of others with smaller numbers run before it.
constexpr uint16_t kPriority = 0x5e4a;

// Where ingress filters hang, the same for an ingress and a clsact qdisc.
constexpr uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);

rtnl_tc* AsTc(rtnl_qdisc* qdisc) { return reinterpret_cast<rtnl_tc*>(qdisc); }
rtnl_tc* AsTc(rtnl_cls* cls) { return reinterpret_cast<rtnl_tc*>(cls); }
rtnl_tc* AsTc(rtnl_act* act) { return reinterpret_cast<rtnl_tc*>(act); }

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("netlink message: out of memory");
}

absl::Status CheckNames(const TapSpec& spec) {
  for (const std::string& name : {spec.interface, spec.tap}) {
    if (!IsLinkName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" is not a link name"));
    }
  }
  return absl::OkStatus();
}

// A tap that lives as long as the descriptor. Its random hardware address is a
// locally administered one.
absl::StatusOr<UniqueFd> OpenNewTap(const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile("/dev/net/tun", O_RDWR));
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags =
      static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);  // NOLINT
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    // The kernel's word for a link that is there already.
    if (errno == EBUSY) errno = EEXIST;
    return ErrnoStatus(errno, absl::StrCat("making tap ", name));
  }
  return fd;
}

// The kernel must not speak IPv6 (router solicitations, multicast reports) to
// the guest in its own name.
absl::Status Silence(const std::string& tap) {
  const absl::Status status = WriteControlFile(
      absl::StrCat("/proc/sys/net/ipv6/conf/", tap, "/disable_ipv6"), "1");
  return absl::IsNotFound(status) ? absl::OkStatus() : status;  // no IPv6 here
}

absl::Status BringUp(nl_sock* socket, rtnl_link* link, unsigned int mtu) {
  const NetlinkPtr<rtnl_link> change(::rtnl_link_alloc());
  if (change == nullptr) return OutOfMemory();
  ::rtnl_link_set_flags(change.get(), IFF_UP);
  if (mtu != 0) ::rtnl_link_set_mtu(change.get(), mtu);
  const int error = ::rtnl_link_change(socket, link, change.get(), 0);
  if (error < 0) {
    return NetlinkStatus(
        error, absl::StrCat("bringing up ", ::rtnl_link_get_name(link)));
  }
  return absl::OkStatus();
}

// False when the link has an ingress or clsact qdisc already.
absl::StatusOr<bool> AddIngress(nl_sock* socket, int index) {
  const NetlinkPtr<rtnl_qdisc> qdisc(::rtnl_qdisc_alloc());
  if (qdisc == nullptr) return OutOfMemory();
  ::rtnl_tc_set_ifindex(AsTc(qdisc.get()), index);
  ::rtnl_tc_set_parent(AsTc(qdisc.get()), TC_H_INGRESS);
  ::rtnl_tc_set_handle(AsTc(qdisc.get()), TC_H_MAKE(TC_H_INGRESS, 0));
  ::rtnl_tc_set_kind(AsTc(qdisc.get()), "ingress");
  const int error =
      ::rtnl_qdisc_add(socket, qdisc.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error == -NLE_EXIST) return false;
  if (error < 0) return NetlinkStatus(error, "adding ingress qdisc");
  return true;
}

void DeleteIngress(nl_sock* socket, int index) {
  const NetlinkPtr<rtnl_qdisc> qdisc(::rtnl_qdisc_alloc());
  if (qdisc == nullptr) return;
  ::rtnl_tc_set_ifindex(AsTc(qdisc.get()), index);
  ::rtnl_tc_set_parent(AsTc(qdisc.get()), TC_H_INGRESS);
  ::rtnl_qdisc_delete(socket, qdisc.get());
}

absl::StatusOr<NetlinkPtr<rtnl_cls>> RedirectFilter(int from) {
  NetlinkPtr<rtnl_cls> filter(::rtnl_cls_alloc());
  if (filter == nullptr) return OutOfMemory();
  ::rtnl_tc_set_ifindex(AsTc(filter.get()), from);
  ::rtnl_tc_set_parent(AsTc(filter.get()), kIngress);
  ::rtnl_cls_set_prio(filter.get(), kPriority);
  ::rtnl_cls_set_protocol(filter.get(), ETH_P_ALL);
  if (const int error = ::rtnl_tc_set_kind(AsTc(filter.get()), "u32");
      error < 0) {
    return NetlinkStatus(error, "classifier u32");
  }
  return filter;
}

// What arrives at `from` leaves at `to`. u32 with no key matches every frame,
// also those too short for a key; it is in all kernels, matchall is not.
absl::Status AddRedirect(nl_sock* socket, int from, int to) {
  ASSIGN_OR_RETURN(const NetlinkPtr<rtnl_cls> filter, RedirectFilter(from));
  const NetlinkPtr<rtnl_act> mirred(::rtnl_act_alloc());
  if (mirred == nullptr) return OutOfMemory();
  int error = ::rtnl_tc_set_kind(AsTc(mirred.get()), "mirred");
  if (error == 0) {
    ::rtnl_mirred_set_action(mirred.get(), TCA_EGRESS_REDIR);
    ::rtnl_mirred_set_policy(mirred.get(), TC_ACT_STOLEN);
    error = ::rtnl_mirred_set_ifindex(mirred.get(), static_cast<uint32_t>(to));
  }
  if (error == 0) error = ::rtnl_u32_set_flags(filter.get(), TC_U32_TERMINAL);
  if (error == 0) error = ::rtnl_u32_add_action(filter.get(), mirred.get());
  if (error == 0) {
    error = ::rtnl_cls_add(socket, filter.get(), NLM_F_CREATE | NLM_F_EXCL);
  }
  return error == 0 ? absl::OkStatus()
                    : NetlinkStatus(error, "adding redirect");
}

absl::StatusOr<bool> HasRedirect(nl_sock* socket, int from) {
  nl_cache* dumped = nullptr;
  if (const int error = ::rtnl_cls_alloc_cache(socket, from, kIngress, &dumped);
      error < 0) {
    return NetlinkStatus(error, "listing filters");
  }
  const NetlinkPtr<nl_cache> cache(dumped);
  for (nl_object* object = ::nl_cache_get_first(cache.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    if (::rtnl_cls_get_prio(reinterpret_cast<rtnl_cls*>(object)) == kPriority) {
      return true;
    }
  }
  return false;
}

absl::Status DeleteRedirect(nl_sock* socket, int from) {
  // Looked for first: deleting from a link without the qdisc is told as an
  // invalid argument, which must not pass for success.
  ASSIGN_OR_RETURN(const bool present, HasRedirect(socket, from));
  if (!present) return absl::OkStatus();
  ASSIGN_OR_RETURN(const NetlinkPtr<rtnl_cls> filter, RedirectFilter(from));
  const int error = ::rtnl_cls_delete(socket, filter.get(), 0);
  if (error < 0 && error != -NLE_OBJ_NOTFOUND) {
    return NetlinkStatus(error, "deleting redirect");
  }
  return absl::OkStatus();
}

absl::Status CheckHasArp(rtnl_link* link, const std::string& name) {
  if ((::rtnl_link_get_flags(link) & IFF_NOARP) == 0) return absl::OkStatus();
  const char* kind = ::rtnl_link_get_type(link);
  return absl::FailedPreconditionError(absl::StrCat(
      name, " (", kind == nullptr ? "of no kind" : kind,
      ") has no ARP, by which a unikernel finds its gateway; give the pod a "
      "network of veth or macvlan interfaces, or ipvlan in its l2 mode"));
}

absl::StatusOr<Tap> CreateTapHere(const TapSpec& spec) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  nl_sock* const s = socket.get();
  ASSIGN_OR_RETURN(const auto interface, GetLink(s, spec.interface));
  RETURN_IF_ERROR(CheckHasArp(interface.get(), spec.interface));
  const unsigned int mtu = ::rtnl_link_get_mtu(interface.get());
  ASSIGN_OR_RETURN(std::string mac, LinkMac(interface.get(), spec.interface));

  // Until the last step the tap and all that hangs on it is gone when the
  // descriptor is closed.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenNewTap(spec.tap));
  RETURN_IF_ERROR(Silence(spec.tap));
  ASSIGN_OR_RETURN(const auto tap, GetLink(s, spec.tap));
  RETURN_IF_ERROR(BringUp(s, tap.get(), mtu));
  RETURN_IF_ERROR(BringUp(s, interface.get(), 0));

  const int inner = ::rtnl_link_get_ifindex(tap.get());
  const int outer = ::rtnl_link_get_ifindex(interface.get());
  RETURN_IF_ERROR(AddIngress(s, inner).status(), spec.tap);
  RETURN_IF_ERROR(AddRedirect(s, inner, outer), spec.tap);
  ASSIGN_OR_RETURN(const bool made_qdisc, AddIngress(s, outer), spec.interface);
  absl::Cleanup undo_qdisc = [&] {
    if (made_qdisc) DeleteIngress(s, outer);
  };
  // The kernel would put a second one behind the first.
  ASSIGN_OR_RETURN(const bool taken, HasRedirect(s, outer));
  if (taken) {
    return absl::AlreadyExistsError(
        absl::StrCat(spec.interface, " is redirected already"));
  }
  RETURN_IF_ERROR(AddRedirect(s, outer, inner), spec.interface);
  absl::Cleanup undo_redirect = [&] {
    DeleteRedirect(s, outer).IgnoreError();  // an error is on its way already
  };
  if (::ioctl(fd.get(), TUNSETPERSIST, 1) != 0) {
    return ErrnoStatus(errno, "making the tap persistent");
  }
  std::move(undo_redirect).Cancel();
  std::move(undo_qdisc).Cancel();
  return Tap{std::move(mac), static_cast<int>(mtu), inner};
}

// An interface that is gone has no redirect.
absl::Status DeleteRedirectOf(nl_sock* socket, const std::string& interface) {
  const auto link = GetLink(socket, interface);
  if (absl::IsNotFound(link.status())) return absl::OkStatus();
  RETURN_IF_ERROR(link.status());
  return DeleteRedirect(socket, ::rtnl_link_get_ifindex(link->get()));
}

absl::Status CheckIsTap(rtnl_link* link, const std::string& name) {
  const char* kind = ::rtnl_link_get_type(link);
  if (kind != nullptr && absl::string_view(kind) == "tun") {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(name, " is not a tap: left alone"));
}

absl::Status RemoveTapHere(const TapSpec& spec, int index) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto tap = GetLink(socket.get(), spec.tap);
  const bool gone = absl::IsNotFound(tap.status());
  // Made anew since then: so is the redirect.
  if (!gone && tap.ok() && index != 0 &&
      ::rtnl_link_get_ifindex(tap->get()) != index) {
    return absl::OkStatus();
  }
  const absl::Status first = DeleteRedirectOf(socket.get(), spec.interface);
  if (gone) return first;
  RETURN_IF_ERROR(FirstError(first, tap.status()));
  RETURN_IF_ERROR(CheckIsTap(tap->get(), spec.tap));
  const int error = ::rtnl_link_delete(socket.get(), tap->get());
  if (error < 0 && error != -NLE_NODEV && error != -NLE_OBJ_NOTFOUND) {
    return NetlinkStatus(error, absl::StrCat("deleting ", spec.tap));
  }
  return absl::OkStatus();
}

// Holds the tap meanwhile, so that nobody takes it up. Where there is none, one
// is made that goes again.
absl::Status RemoveIdleTapHere(const TapSpec& spec) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto tap = GetLink(socket.get(), spec.tap);
  if (tap.ok()) {
    RETURN_IF_ERROR(CheckIsTap(tap->get(), spec.tap));
  } else if (!absl::IsNotFound(tap.status())) {
    return tap.status();
  }
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile("/dev/net/tun", O_RDWR));
  ifreq request = {};
  spec.tap.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    if (errno == EBUSY) {
      return absl::FailedPreconditionError(
          absl::StrCat(spec.tap, " is in use"));
    }
    return ErrnoStatus(errno, absl::StrCat("taking ", spec.tap));
  }
  RETURN_IF_ERROR(DeleteRedirectOf(socket.get(), spec.interface));
  if (::ioctl(fd.get(), TUNSETPERSIST, 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("letting go of ", spec.tap));
  }
  return absl::OkStatus();
}

}  // namespace

std::string TapName(size_t number) { return absl::StrCat("serai", number); }

absl::StatusOr<Tap> CreateTap(int netns_fd, const TapSpec& spec) {
  RETURN_IF_ERROR(CheckNames(spec));
  Tap tap;
  RETURN_IF_ERROR(RunInNetns(netns_fd,
                             [&]() -> absl::Status {
                               ASSIGN_OR_RETURN(tap, CreateTapHere(spec));
                               return absl::OkStatus();
                             }),
                  "wiring tap ", spec.tap, " to ", spec.interface);
  return tap;
}

absl::Status RemoveTap(int netns_fd, const TapSpec& spec, int index) {
  RETURN_IF_ERROR(CheckNames(spec));
  return Annotate(
      RunInNetns(netns_fd, [&] { return RemoveTapHere(spec, index); }),
      absl::StrCat("removing tap ", spec.tap));
}

absl::Status RemoveIdleTap(int netns_fd, const TapSpec& spec) {
  RETURN_IF_ERROR(CheckNames(spec));
  return Annotate(RunInNetns(netns_fd, [&] { return RemoveIdleTapHere(spec); }),
                  absl::StrCat("removing tap ", spec.tap));
}

}  // namespace serai::host
