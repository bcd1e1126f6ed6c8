// SPDX-License-Identifier: Apache-2.0
#pragma once

// The measurements. Each takes the contestants in turns, `rounds` times, so
// that what else goes on in the machine meets all of them alike.

#include <string>
#include <vector>

#include "bench/tender/contestant.h"
#include "bench/tender/table.h"

namespace serai::bench {

struct Setting {
  std::string guests;  // directory of the guests
  std::vector<Contestant> contestants;
  int start_rounds = 0;
  int load_rounds = 0;
  double load_seconds = 0;  // of each measurement of throughput
};

// Exec to first output, exec to exit, and page faults of a guest that says
// something and ends; and of `floor`, a program that does nothing.
void MeasureStart(const Setting& setting, const std::string& guest,
                  const std::string& floor, Table* table);

// Exec to first output of a guest that goes on from its snapshot, beside the
// whole life of `floor`. Ours only: Solo5's tenders take no snapshots.
void MeasureRestore(const Setting& setting, const std::string& floor,
                    Table* table);

// What ten idle guests weigh, for each of them. `guest` has --idle.
void MeasureMemory(const Setting& setting, const std::string& guest,
                   Table* table);

// Ping, UDP echo and HTTP, over a tap in this process's network namespace
// (tests/guests/testing/guest_network.h).
void MeasureNetwork(const Setting& setting, Table* table);

// Blocks read and written of a device in the page cache.
void MeasureBlock(const Setting& setting, Table* table);

}  // namespace serai::bench
