// SPDX-License-Identifier: Apache-2.0
#pragma once

// The records that a starting daemon finds, sorted by what is to be done about
// them.

#include <map>
#include <string>
#include <vector>

#include "cri/state/store.h"
#include "lib/base/status.h"

namespace serai::cri {

struct FoundRecords {
  std::vector<PodRecord> pods;
  std::vector<ContainerRecord> containers;
  // Pods, by id, that a newer seraid made, or has made a container in: they
  // are left alone, running or not, and are in neither list above. With the
  // pod's name (PodName()), as far as that can be told. So are those whose
  // file could not be read, which says nothing of what is in it.
  std::map<std::string, std::string> newer;
  // Of their containers, by id: the ids of the images that they hold.
  std::map<std::string, std::string> images_of_newer;
  // Ids of what is no record, and was put aside, as NAME.unreadable.
  std::vector<std::string> unreadable_pods;
  std::vector<std::string> unreadable_containers;
};

// Reads them all, and removes what a crash left of the writing of others. What
// can't be used is logged. Fails only when the directories can't be made or
// read.
absl::StatusOr<FoundRecords> FindRecords(const Store& store);

}  // namespace serai::cri
