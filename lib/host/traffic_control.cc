// SPDX-License-Identifier: Apache-2.0
#include "lib/host/traffic_control.h"

#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>
#include <netinet/if_ether.h>
#include <netlink/errno.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/cls/u32.h>

namespace serai::host {
namespace {

rtnl_tc* AsTc(rtnl_qdisc* qdisc) { return reinterpret_cast<rtnl_tc*>(qdisc); }
rtnl_tc* AsTc(rtnl_cls* cls) { return reinterpret_cast<rtnl_tc*>(cls); }
rtnl_tc* AsTc(rtnl_act* act) { return reinterpret_cast<rtnl_tc*>(act); }

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("netlink message: out of memory");
}

absl::StatusOr<NetlinkPtr<rtnl_cls>> RedirectFilter(int from) {
  NetlinkPtr<rtnl_cls> filter(::rtnl_cls_alloc());
  if (filter == nullptr) return OutOfMemory();
  ::rtnl_tc_set_ifindex(AsTc(filter.get()), from);
  ::rtnl_tc_set_parent(AsTc(filter.get()), kIngressFilters);
  ::rtnl_cls_set_prio(filter.get(), kRedirectPriority);
  ::rtnl_cls_set_protocol(filter.get(), ETH_P_ALL);
  if (const int error = ::rtnl_tc_set_kind(AsTc(filter.get()), "u32");
      error < 0) {
    return NetlinkStatus(error, "classifier u32");
  }
  return filter;
}

}  // namespace

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

// u32 with no key matches every frame, also those too short for a key; it is
// in all kernels, matchall is not.
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

absl::StatusOr<bool> HasFilter(nl_sock* socket, int index, uint16_t priority) {
  nl_cache* dumped = nullptr;
  if (const int error =
          ::rtnl_cls_alloc_cache(socket, index, kIngressFilters, &dumped);
      error < 0) {
    return NetlinkStatus(error, "listing filters");
  }
  const NetlinkPtr<nl_cache> cache(dumped);
  for (nl_object* object = ::nl_cache_get_first(cache.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    if (::rtnl_cls_get_prio(reinterpret_cast<rtnl_cls*>(object)) == priority) {
      return true;
    }
  }
  return false;
}

absl::Status DeleteRedirect(nl_sock* socket, int from) {
  // Looked for first: deleting from a link without the qdisc is told as an
  // invalid argument, which must not pass for success.
  ASSIGN_OR_RETURN(const bool present,
                   HasFilter(socket, from, kRedirectPriority));
  if (!present) return absl::OkStatus();
  ASSIGN_OR_RETURN(const NetlinkPtr<rtnl_cls> filter, RedirectFilter(from));
  const int error = ::rtnl_cls_delete(socket, filter.get(), 0);
  if (error < 0 && error != -NLE_OBJ_NOTFOUND) {
    return NetlinkStatus(error, "deleting redirect");
  }
  return absl::OkStatus();
}

}  // namespace serai::host
