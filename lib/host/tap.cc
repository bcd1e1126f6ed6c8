// SPDX-License-Identifier: Apache-2.0
#include "lib/host/tap.h"

#include <net/if.h>
#include <netlink/route/link.h>

#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "lib/base/unique_fd.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"
#include "lib/host/tap_device.h"
#include "lib/host/tap_guard.h"
#include "lib/host/tap_owner.h"
#include "lib/host/traffic_control.h"

namespace serai::host {
namespace {

absl::Status CheckNames(const TapSpec& spec) {
  for (const std::string& name : {spec.interface, spec.tap}) {
    if (!IsLinkName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" is not a link name"));
    }
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
  RETURN_IF_ERROR(BringUp(s, tap.get(), mtu, spec.owner));
  RETURN_IF_ERROR(BringUp(s, interface.get()));

  const int inner = ::rtnl_link_get_ifindex(tap.get());
  const int outer = ::rtnl_link_get_ifindex(interface.get());
  RETURN_IF_ERROR(AddIngress(s, inner).status(), spec.tap);
  RETURN_IF_ERROR(SetGuard(s, inner, {mac, spec.addresses}), spec.tap);
  if (spec.shared) {
    RETURN_IF_ERROR(MakeLasting(fd));
    return Tap{std::move(mac), static_cast<int>(mtu), inner};
  }
  RETURN_IF_ERROR(AddRedirect(s, inner, outer), spec.tap);
  ASSIGN_OR_RETURN(const bool made_qdisc, AddIngress(s, outer), spec.interface);
  absl::Cleanup undo_qdisc = [&] {
    if (made_qdisc) DeleteIngress(s, outer);
  };
  // The kernel would put a second one behind the first.
  ASSIGN_OR_RETURN(const bool taken, HasFilter(s, outer, kRedirectPriority));
  if (taken) {
    return absl::AlreadyExistsError(
        absl::StrCat(spec.interface, " is redirected already"));
  }
  RETURN_IF_ERROR(AddRedirect(s, outer, inner), spec.interface);
  absl::Cleanup undo_redirect = [&] {
    DeleteRedirect(s, outer).IgnoreError();  // an error is on its way already
  };
  RETURN_IF_ERROR(MakeLasting(fd));
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

// The tap with an owner that is for the interface.
absl::StatusOr<rtnl_link*> FindOwned(const NetlinkPtr<nl_cache>& links,
                                     const std::string& interface) {
  for (nl_object* object = ::nl_cache_get_first(links.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    const std::optional<TapOwner> owner = OwnerIn(AliasOf(link));
    if (owner && owner->interface == interface && IsTap(link)) return link;
  }
  return absl::NotFoundError(
      absl::StrCat("no tap of a plugin's is for ", interface));
}

// Whether what arrives at the link goes on to somebody: by a redirect or, where
// guests share an interface, by their ports.
absl::StatusOr<bool> IsLed(nl_sock* socket, int index) {
  ASSIGN_OR_RETURN(const bool redirected,
                   HasFilter(socket, index, kRedirectPriority));
  if (redirected) return true;
  return HasFilter(socket, index, kSteeringPriority);
}

absl::StatusOr<Tap> FindTapHere(nl_sock* socket, TapSpec& spec) {
  ASSIGN_OR_RETURN(const auto links, ListLinks(socket));
  ASSIGN_OR_RETURN(rtnl_link* const tap, FindOwned(links, spec.interface));
  ASSIGN_OR_RETURN(const auto interface, GetLink(socket, spec.interface));
  ASSIGN_OR_RETURN(std::string mac, LinkMac(interface.get(), spec.interface));
  spec.tap = ::rtnl_link_get_name(tap);
  const int inner = ::rtnl_link_get_ifindex(tap);
  const int outer = ::rtnl_link_get_ifindex(interface.get());
  ASSIGN_OR_RETURN(const bool guarded,
                   HasFilter(socket, inner, kGuardPriority));
  ASSIGN_OR_RETURN(const bool outward, IsLed(socket, inner));
  ASSIGN_OR_RETURN(const bool inward, IsLed(socket, outer));
  if (!guarded || !outward || !inward) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the tap ", spec.tap, " has lost a filter of those that wire it to ",
        spec.interface));
  }
  return Tap{std::move(mac),
             static_cast<int>(::rtnl_link_get_mtu(interface.get())), inner};
}

// One that a tender had which was killed is free when the kernel has taken that
// process apart.
absl::StatusOr<UniqueFd> HoldSoon(const std::string& name) {
  constexpr int kTries = 25;
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<UniqueFd> held = HoldTap(name);
    if (!absl::IsFailedPrecondition(held.status()) || attempt == kTries) {
      return held;
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::StatusOr<Tap> AdoptTapHere(TapSpec& spec) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(Tap tap, FindTapHere(socket.get(), spec));
  ASSIGN_OR_RETURN(const UniqueFd held, HoldSoon(spec.tap));
  RETURN_IF_ERROR(SetGuard(socket.get(), tap.index, {tap.mac, spec.addresses}),
                  spec.tap);
  return tap;
}

absl::Status RemoveTapHere(const TapSpec& spec, int index) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto tap = GetLink(socket.get(), spec.tap);
  const bool gone = absl::IsNotFound(tap.status());
  // Made anew since then, or by somebody else: so is the redirect.
  if (tap.ok() &&
      ((index != 0 && ::rtnl_link_get_ifindex(tap->get()) != index) ||
       AliasOf(tap->get()) != spec.owner)) {
    return absl::OkStatus();
  }
  const absl::Status first =
      spec.shared ? absl::OkStatus()
                  : DeleteRedirectOf(socket.get(), spec.interface);
  if (gone) return first;
  RETURN_IF_ERROR(FirstError(first, tap.status()));
  RETURN_IF_ERROR(CheckIsTap(tap->get(), spec.tap));
  return DeleteLink(socket.get(), tap->get());
}

// Holds the tap meanwhile, so that nobody takes it up. Where there is none, one
// is made that goes again.
absl::Status RemoveIdleTapHere(const TapSpec& spec) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto tap = GetLink(socket.get(), spec.tap);
  if (tap.ok()) {
    RETURN_IF_ERROR(CheckIsTap(tap->get(), spec.tap));
    if (AliasOf(tap->get()) != spec.owner) return absl::OkStatus();
  } else if (!absl::IsNotFound(tap.status())) {
    return tap.status();
  }
  ASSIGN_OR_RETURN(const UniqueFd fd, HoldTap(spec.tap));
  RETURN_IF_ERROR(DeleteRedirectOf(socket.get(), spec.interface));
  return MakeLasting(fd, false);
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

absl::StatusOr<Tap> FindTap(int netns_fd, TapSpec& spec) {
  RETURN_IF_ERROR(CheckNames(spec));
  Tap tap;
  RETURN_IF_ERROR(RunInNetns(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
    ASSIGN_OR_RETURN(tap, FindTapHere(socket.get(), spec));
    return absl::OkStatus();
  }));
  return tap;
}

absl::StatusOr<Tap> AdoptTap(int netns_fd, TapSpec& spec) {
  RETURN_IF_ERROR(CheckNames(spec));
  Tap tap;
  RETURN_IF_ERROR(RunInNetns(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(tap, AdoptTapHere(spec));
    return absl::OkStatus();
  }));
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
