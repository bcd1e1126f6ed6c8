// SPDX-License-Identifier: Apache-2.0
#include "cni/network.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "cni/config.h"
#include "cni/json.h"
#include "cni/plugin.h"
#include "cni/record.h"
#include "cni/result.h"
#include "cni/run_lock.h"
#include "lib/base/file.h"

namespace serai::cni {
namespace {

using nlohmann::json;

// Says by inode, size and times whether a file is still the one that was read.
absl::StatusOr<std::string> Fingerprint(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  return absl::StrCat(path, " ", st.st_dev, " ", st.st_ino, " ", st.st_size,
                      " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                      st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec, "\n");
}

absl::Status Unavailable(const absl::Status& status) {
  return absl::UnavailableError(status.message());
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(Options options)
      : conf_dir_(std::move(options.conf_dir)),
        runner_(std::move(options.bin_dirs), options.timeout),
        records_(std::move(options.cache_dir)) {}

  // The network that is configured now. UNAVAILABLE when it can't be used.
  absl::StatusOr<NetworkConfig> CurrentNetwork();

  absl::Status AskStatus(const NetworkConfig& network) const;
  absl::StatusOr<RunLock> Lock(const Attachment& attachment) const {
    return RunLock::Take(records_.LockPathOf(attachment), runner_.timeout());
  }
  absl::StatusOr<Result> RunAdd(Record& record, const RunLock& lock) const;
  // Told to end, a chain ends at the first error; after a failed ADD each
  // plugin gets its chance and the first error is returned.
  enum class OnError { kStop, kGoOn };
  absl::Status RunDel(const Record& record, const RunLock& lock,
                      OnError on_error) const;
  // After a DEL of the whole chain.
  absl::Status Forget(const Record& record, const RunLock& lock) const {
    // In this order a crash leaves no lock without a record.
    RETURN_IF_ERROR(lock.Remove());
    return records_.Remove(record.attachment);
  }
  absl::Status RunCheck(const Record& record) const;

  const RecordStore& records() const { return records_; }
  const std::string& conf_dir() const { return conf_dir_; }

 private:
  absl::StatusOr<NetworkConfig> LoadNetwork(const std::string& file) const;
  absl::Status NegotiateVersion(NetworkConfig& network) const;
  absl::StatusOr<std::string> Fingerprints(const std::string& file,
                                           const NetworkConfig& network) const;

  const std::string conf_dir_;
  const PluginRunner runner_;
  const RecordStore records_;

  struct Loaded {
    NetworkConfig network;
    std::string file;
    std::string fingerprints;  // of the file and of the plugins' programs
  };
  absl::Mutex mutex_;
  std::shared_ptr<const Loaded> loaded_ ABSL_GUARDED_BY(mutex_);  // may be null
};

absl::StatusOr<std::string> Client::Impl::Fingerprints(
    const std::string& file, const NetworkConfig& network) const {
  ASSIGN_OR_RETURN(std::string all, Fingerprint(file));
  for (const PluginConfig& plugin : network.plugins) {
    ASSIGN_OR_RETURN(const std::string program, runner_.Find(plugin.type));
    ASSIGN_OR_RETURN(const std::string one, Fingerprint(program));
    all += one;
  }
  return all;
}

absl::Status Client::Impl::NegotiateVersion(NetworkConfig& network) const {
  for (const PluginConfig& plugin : network.plugins) {
    const std::string input = Dump({{"cniVersion", network.version()}});
    ASSIGN_OR_RETURN(const std::string output,
                     runner_.Run(plugin.type, "VERSION", nullptr, input));
    ASSIGN_OR_RETURN(const std::vector<std::string> spoken,
                     ParseVersions(output), "plugin ", plugin.type,
                     ": VERSION answered with");
    const std::vector<std::string> wanted = network.versions;
    network.versions.clear();
    for (const std::string& version : wanted) {
      if (std::find(spoken.begin(), spoken.end(), version) != spoken.end()) {
        network.versions.push_back(version);
      }
    }
    if (network.versions.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("plugin ", plugin.type, " does not speak cniVersion ",
                       absl::StrJoin(wanted, " or "), ", only ",
                       Printable(absl::StrJoin(spoken, ", "))));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<NetworkConfig> Client::Impl::LoadNetwork(
    const std::string& file) const {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxJsonBytes));
  ASSIGN_OR_RETURN(NetworkConfig network, ParseNetworkConfig(text), file);
  for (const PluginConfig& plugin : network.plugins) {
    RETURN_IF_ERROR(runner_.Find(plugin.type).status(), file);
  }
  RETURN_IF_ERROR(NegotiateVersion(network), file);
  return network;
}

absl::StatusOr<NetworkConfig> Client::Impl::CurrentNetwork() {
  const absl::StatusOr<std::string> file = FindConfigFile(conf_dir_);
  if (!file.ok()) return Unavailable(file.status());
  std::shared_ptr<const Loaded> loaded;
  {
    absl::MutexLock lock(&mutex_);
    loaded = loaded_;
  }
  if (loaded != nullptr && loaded->file == *file) {
    const auto now = Fingerprints(*file, loaded->network);
    if (now.ok() && *now == loaded->fingerprints) return loaded->network;
  }
  // The file's before it is read: one that changes meanwhile is read again.
  const absl::StatusOr<std::string> before = Fingerprint(*file);
  absl::StatusOr<NetworkConfig> network = LoadNetwork(*file);
  if (!network.ok()) return Unavailable(network.status());
  absl::StatusOr<std::string> now = Fingerprints(*file, *network);
  if (before.ok() && now.ok() && absl::StartsWith(*now, *before)) {
    loaded = std::make_shared<const Loaded>(
        Loaded{*network, *file, *std::move(now)});
    absl::MutexLock lock(&mutex_);
    loaded_ = std::move(loaded);
  }
  return network;
}

absl::Status Client::Impl::AskStatus(const NetworkConfig& network) const {
  if (!AtLeast(network.version(), "1.1.0")) return absl::OkStatus();
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    RETURN_IF_ERROR(runner_
                        .Run(network.plugins[i].type, "STATUS", nullptr,
                             Dump(PluginInput(network, i, {}, json())))
                        .status());
  }
  return absl::OkStatus();
}

absl::StatusOr<Result> Client::Impl::RunAdd(Record& record,
                                            const RunLock& lock) const {
  const NetworkConfig& network = record.network;
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    const std::string& type = network.plugins[i].type;
    ASSIGN_OR_RETURN(
        const std::string output,
        runner_.Run(
            type, "ADD", &record.attachment,
            Dump(PluginInput(network, i, record.attachment.port_mappings,
                             record.result)),
            lock.fd()));
    absl::StatusOr<json> result = ParseResult(output);
    if (!result.ok()) {
      return absl::UnknownError(absl::StrCat(
          "plugin ", type, ": ADD answered with ", result.status().message()));
    }
    // A plugin may answer in another version that it speaks; the chain has one.
    (*result)["cniVersion"] = network.version();
    // Most plugins of a chain pass the result on as it was.
    if (*result == record.result) continue;
    record.result = *std::move(result);
    // At every step: some plugins' DEL needs the result to find what they made.
    RETURN_IF_ERROR(records_.Save(record));
  }
  absl::StatusOr<Result> result =
      ReadResult(record.result, record.attachment.interface_name);
  if (!result.ok()) {
    return absl::UnknownError(absl::StrCat("the result of network ",
                                           network.name, ": ",
                                           result.status().message()));
  }
  return result;
}

absl::Status Client::Impl::RunDel(const Record& record, const RunLock& lock,
                                  OnError on_error) const {
  // Plugins before 0.4.0 are not given the result at DEL.
  const json previous =
      AtLeast(record.network.version(), "0.4.0") ? record.result : json();
  absl::Status first;
  for (size_t i = record.network.plugins.size(); i-- > 0;) {
    const absl::Status status =
        runner_
            .Run(record.network.plugins[i].type, "DEL", &record.attachment,
                 Dump(PluginInput(record.network, i,
                                  record.attachment.port_mappings, previous)),
                 lock.fd())
            .status();
    if (!status.ok() && on_error == OnError::kStop) return status;
    first = FirstError(first, status);
  }
  return first;
}

absl::Status Client::Impl::RunCheck(const Record& record) const {
  if (record.network.disable_check ||
      !AtLeast(record.network.version(), "0.4.0")) {
    return absl::OkStatus();
  }
  for (size_t i = 0; i < record.network.plugins.size(); ++i) {
    RETURN_IF_ERROR(runner_
                        .Run(record.network.plugins[i].type, "CHECK",
                             &record.attachment,
                             Dump(PluginInput(record.network, i,
                                              record.attachment.port_mappings,
                                              record.result)))
                        .status());
  }
  return absl::OkStatus();
}

Client::Client(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

absl::Status Client::Ready() {
  ASSIGN_OR_RETURN(const NetworkConfig network, impl_->CurrentNetwork());
  const absl::Status status = impl_->AskStatus(network);
  return status.ok() ? status : Unavailable(status);
}

absl::StatusOr<Network> Client::Current() const {
  ASSIGN_OR_RETURN(const NetworkConfig config, impl_->CurrentNetwork());
  ASSIGN_OR_RETURN(std::string file, FindConfigFile(impl_->conf_dir()));
  Network network{std::move(file), config.name, config.version(), {}};
  for (const PluginConfig& plugin : config.plugins) {
    network.plugins.push_back(plugin.type);
  }
  return network;
}

absl::StatusOr<Result> Client::Add(const Attachment& attachment) {
  RETURN_IF_ERROR(Validate(attachment));
  const absl::Status known =
      impl_->records()
          .Load(attachment.container_id, attachment.interface_name)
          .status();
  if (!absl::IsNotFound(known)) {
    return absl::AlreadyExistsError(
        absl::StrCat("network attachment ", attachment.container_id, " ",
                     attachment.interface_name, " has a record already"));
  }
  Record record;
  record.attachment = attachment;
  ASSIGN_OR_RETURN(record.network, impl_->CurrentNetwork());
  // Before anything is made, so that a crash can't lose what has to be undone.
  RETURN_IF_ERROR(impl_->records().Save(record));
  ASSIGN_OR_RETURN(const RunLock lock, impl_->Lock(attachment));
  absl::StatusOr<Result> result = impl_->RunAdd(record, lock);
  if (result.ok()) {
    RETURN_IF_ERROR(lock.Remove());
    return result;
  }
  absl::Status undone = impl_->RunDel(record, lock, Impl::OnError::kGoOn);
  if (undone.ok()) undone = impl_->Forget(record, lock);
  if (undone.ok()) return result;
  return absl::Status(result.status().code(),
                      absl::StrCat(result.status().message(),
                                   "; undoing it: ", undone.message()));
}

absl::Status Client::Del(const std::string& container_id,
                         const std::string& interface_name) {
  const auto record = impl_->records().Load(container_id, interface_name);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  if (absl::IsDataLoss(record.status())) {
    Record guess;
    guess.attachment.container_id = container_id;
    guess.attachment.interface_name = interface_name;
    ASSIGN_OR_RETURN(guess.network, impl_->CurrentNetwork(),
                     record.status().message());
    ASSIGN_OR_RETURN(const RunLock lock, impl_->Lock(guess.attachment));
    RETURN_IF_ERROR(impl_->RunDel(guess, lock, Impl::OnError::kStop));
    RETURN_IF_ERROR(lock.Remove());
    return impl_->records().PutAside(guess.attachment);
  }
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const RunLock lock, impl_->Lock(record->attachment));
  RETURN_IF_ERROR(impl_->RunDel(*record, lock, Impl::OnError::kStop));
  return impl_->Forget(*record, lock);
}

absl::Status Client::Check(const std::string& container_id,
                           const std::string& interface_name) {
  ASSIGN_OR_RETURN(const Record record,
                   impl_->records().Load(container_id, interface_name));
  return impl_->RunCheck(record);
}

absl::StatusOr<std::vector<Attachment>> Client::Attachments() {
  RETURN_IF_ERROR(impl_->records().RemoveLeftovers());
  ASSIGN_OR_RETURN(const std::vector<Record> records, impl_->records().List());
  std::vector<Attachment> attachments;
  for (const Record& record : records) {
    attachments.push_back(record.attachment);
  }
  return attachments;
}

}  // namespace serai::cni
