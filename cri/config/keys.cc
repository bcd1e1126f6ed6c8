// SPDX-License-Identifier: Apache-2.0
#include "cri/config/keys.h"

namespace serai::cri {

// The key is called like its member: KEY(Config, cni.timeout, …) is `timeout`
// in [cni] and config.cni.timeout. Keys of one table stand together.
#define KEY(Table, member, kind, reload, help)                          \
  MakeKey<Table>(                                                       \
      #member, [](auto& table) -> auto& { return table.member; }, kind, \
      reload, help)

const std::vector<Key<Config>>& ConfigKeys() {
  static const auto& keys = *new std::vector<Key<Config>>{
      KEY(Config, root, Path(), Reload::kNo,
          "Images and records: survives a reboot."),
      KEY(Config, state, Path(), Reload::kNo,
          "Namespaces, bundles, sockets: gone at reboot."),
      KEY(Config, cri.socket, Path(), Reload::kNo,
          "Where kubelet finds the CRI: --container-runtime-endpoint."),
      KEY(Config, programs.shim, Program(Empty::kAllowed), Reload::kNo,
          "containerd-shim-serai-v2. \"\" looks beside seraid, in ../bin, in "
          "../libexec/serai."),
      KEY(Config, programs.tender, Program(Empty::kAllowed), Reload::kNo,
          "serai-tender, looked for likewise."),
      KEY(Config, programs.unpacker, Program(Empty::kAllowed), Reload::kNo,
          "serai-unpack, looked for likewise."),
      KEY(Config, cni.conf_dir, Directory(), Reload::kNo,
          "The cluster's network configuration: its first file counts."),
      KEY(Config, cni.bin_dirs, Directories(), Reload::kNo,
          "Where the plugins are."),
      KEY(Config, cni.timeout, Duration(), Reload::kNo,
          "Of each plugin's run."),
      KEY(Config, registry.config_path, Directory(Empty::kAllowed), Reload::kNo,
          "Directories with hosts.toml, in containerd's shape."),
      KEY(Config, metrics.address, Address(Empty::kAllowed), Reload::kNo,
          "Where Prometheus finds /metrics. \"\": nowhere."),
      KEY(Config, streaming.address, Address(), Reload::kNo,
          "Where attach and port-forward are served: an IPv4 address, or an "
          "IPv6 one in brackets; port 0 is any."),
      KEY(Config, streaming.tls_certificate, File(Empty::kAllowed), Reload::kNo,
          "In PEM form, with its chain. With tls_key: https, TLS 1.2 and "
          "later."),
      KEY(Config, streaming.tls_key, File(Empty::kAllowed), Reload::kNo,
          "The certificate's, in PEM form."),
      KEY(Config, streaming.tls_client_ca, File(Empty::kAllowed), Reload::kNo,
          "Authorities, in PEM form: clients have to show a certificate of "
          "theirs."),
      KEY(Config, image.pinned, Names(), Reload::kNo,
          "Images that kubelet's garbage collection passes over."),
      KEY(Config, image.signed_images, Repositories(), Reload::kNo,
          "Repositories whose images must be signed."),
      KEY(Config, image.signature_keys, Files(), Reload::kNo,
          "Public keys (PEM), one of which must have signed them."),
      KEY(Config, log.level, OneOf({"debug", "info", "warn", "error"}),
          Reload::kYes,
          "debug, info, warn or error. At debug, requests are logged, without "
          "secrets."),
      KEY(Config, log.format, OneOf({"text", "json"}), Reload::kYes,
          "text or json, on stderr."),
      KEY(Config, cgroup.driver, OneOf({"cgroupfs", "systemd"}), Reload::kNo,
          "Who makes cgroups: \"cgroupfs\" (seraid) or \"systemd\". Has to be "
          "kubelet's driver, and containerd's where it is behind seraid."),
      KEY(Config, cgroup.parent, Path(), Reload::kNo,
          "Of pods that come without a cgroup parent. With systemd its last "
          "part names the slice."),
      KEY(Config, passthrough.socket, Path(Empty::kAllowed), Reload::kNo,
          "Containerd's CRI socket, such as /run/containerd/containerd.sock: "
          "it answers what is not seraid's. \"\": a node of unikernels alone."),
      KEY(Config, passthrough.snapshotter, Text(Empty::kRefused), Reload::kNo,
          "The snapshotter of containerd's CRI plugin: where it unpacks the "
          "images that unikernels start from too."),
  };
  return keys;
}

const std::vector<Key<HandlerConfig>>& HandlerKeys() {
  static const auto& keys = *new std::vector<Key<HandlerConfig>>{
      KEY(HandlerConfig, default_memory, Bytes(), Reload::kNo,
          "Size of a guest whose container has no memory limit."),
      KEY(HandlerConfig, overhead_memory, Bytes(), Reload::kNo,
          "For the tender, on top of the guest, in its cgroup's limit."),
      KEY(HandlerConfig, empty_dir_size, Bytes(), Reload::kNo,
          "Of an emptyDir's disk, where the pod has no annotation "
          "serai.dev/size.DEVICE."),
  };
  return keys;
}

#undef KEY

}  // namespace serai::cri
