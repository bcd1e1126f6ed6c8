// SPDX-License-Identifier: Apache-2.0
#pragma once

// What tests of --snapshot-to and --restore-from share: a directory, guests
// that take snapshots there, and guests that go on from there.

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tender/hvt/snapshot_format.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {

using Args = std::vector<std::string>;

Args Join(Args first, const Args& second);

TenderSpec SpecOf(const Args& args);

// A guest whose status descriptor somebody reads.
class Running {
 public:
  explicit Running(TenderSpec spec);

  TenderProcess& process() { return *process_; }
  const std::string& Output() { return process_->Output(); }
  // Asks for a snapshot and waits for what is said of it.
  std::string Snapshot();

 private:
  // How many snapshots it has told of.
  size_t Count();

  UniqueFd reader_;
  std::string status_;
  std::unique_ptr<TenderProcess> process_;
};

// Needs KVM.
class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override;

  std::string To() const { return "--snapshot-to=" + directory_.path(); }
  std::string From() const { return "--restore-from=" + directory_.path(); }
  // Starts count with `options` for the tender and `args` for the guest, takes
  // a snapshot at its third line and lets it run to its end.
  void TakeOfCount(const Args& options = {}, const Args& args = {});
  // That it went on from there.
  static void ExpectRest(const TenderResult& result);

  // The names in the directory, and the files.
  std::vector<std::string> Files() const;
  std::string Read(const std::string& name) const;
  void Write(const std::string& name, const std::string& bytes) const;
  // Changes the machine file, with a checksum that holds.
  template <typename Change>
  void Forge(Change change) const {
    auto state = std::make_unique<tender::hvt::SnapshotState>();
    std::string bytes = Read(tender::hvt::kMachineName);
    ASSERT_EQ(bytes.size(), sizeof(*state));
    std::memcpy(state.get(), bytes.data(), bytes.size());
    change(*state);
    state->checksum = Checksum(*state);
    std::memcpy(bytes.data(), state.get(), bytes.size());
    Write(tender::hvt::kMachineName, bytes);
  }

  const TempDir directory_;
};

}  // namespace serai::testing
