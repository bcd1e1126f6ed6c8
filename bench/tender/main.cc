// SPDX-License-Identifier: Apache-2.0
// Our tender beside Solo5's own, with the same guests: how fast it starts, what
// it weighs, what passes through it. Prints Markdown tables of medians and
// ratios. What is not there is left out, with a message.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/tender/measures.h"
#include "bench/tender/process.h"
#include "gtest/gtest.h"

namespace serai::bench {
namespace {

struct Flags {
  std::string build = "build/release";
  std::string tender;
  std::string upstream_hvt;
  std::string upstream_spt;
  std::vector<std::string> only;
  int start_rounds = 100;
  int load_rounds = 5;
  double load_seconds = 0.5;
};

bool IsThere(const std::string& path, const std::string& what) {
  if (::access(path.c_str(), R_OK) == 0) return true;
  std::fprintf(stderr, "tender: %s: not found, left out: %s\n", what.c_str(),
               path.empty() ? "no path given" : path.c_str());
  return false;
}

bool HasKvm() {
  if (::access("/dev/kvm", R_OK | W_OK) == 0) return true;
  std::fprintf(stderr, "tender: no /dev/kvm: hvt left out\n");
  return false;
}

std::vector<Contestant> Contestants(const Flags& flags) {
  std::vector<Contestant> all = {{"spt", "serai", flags.tender, {}, false}};
  if (IsThere(flags.upstream_spt, "Solo5's spt tender")) {
    all.push_back({"spt", "solo5", flags.upstream_spt, {}, true});
  }
  if (!HasKvm()) return all;
  all.push_back({"hvt", "serai", flags.tender, {}, false});
  all.push_back({"hvt", "serai --cpl=0", flags.tender, {"--cpl=0"}, false});
  if (IsThere(flags.upstream_hvt, "Solo5's hvt tender")) {
    all.push_back({"hvt", "solo5", flags.upstream_hvt, {}, true});
  }
  return all;
}

// The ring is for network devices only; Solo5's tender always offers it.
void AddRing(std::vector<Contestant>* contestants) {
  for (size_t i = 0; i < contestants->size(); ++i) {
    Contestant one = (*contestants)[i];
    if (one.target != "hvt" || one.reference) continue;
    one.name += " --net-ring=on";
    one.options.push_back("--net-ring=on");
    (*contestants)[i].options.push_back("--net-ring=off");
    contestants->insert(contestants->begin() + static_cast<std::ptrdiff_t>(++i),
                        one);
  }
}

bool Wanted(const Flags& flags, const std::string& what) {
  return flags.only.empty() || std::find(flags.only.begin(), flags.only.end(),
                                         what) != flags.only.end();
}

void MeasureAll(const Flags& flags) {
  Setting setting = {flags.build + "/guests", Contestants(flags),
                     flags.start_rounds, flags.load_rounds, flags.load_seconds};
  const std::string nothing = flags.build + "/bench/nothing";
  Table table;
  if (Wanted(flags, "start")) {
    MeasureStart(setting, "hello", nothing, &table);
    MeasureStart(setting, "large", nothing, &table);
  }
  if (Wanted(flags, "restore")) MeasureRestore(setting, nothing, &table);
  if (Wanted(flags, "memory")) {
    MeasureMemory(setting, "spin", &table);
    MeasureMemory(setting, "large", &table);
  }
  if (Wanted(flags, "block")) MeasureBlock(setting, &table);
  if (Wanted(flags, "network")) {
    AddRing(&setting.contestants);
    MeasureNetwork(setting, &table);
  }
  table.Print();
}

}  // namespace
}  // namespace serai::bench

int main(int argc, char** argv) {
  CLI::App app("Measures serai-tender beside Solo5's tenders");
  serai::bench::Flags flags;
  app.add_option("--build", flags.build, "Build tree")->capture_default_str();
  app.add_option("--tender", flags.tender, "Ours, if not in its bin/");
  app.add_option("--upstream-hvt", flags.upstream_hvt, "Path of solo5-hvt");
  app.add_option("--upstream-spt", flags.upstream_spt, "Path of solo5-spt");
  app.add_option("--only", flags.only,
                 "Of start, restore, memory, block, network")
      ->delimiter(',');
  app.add_option("--starts", flags.start_rounds, "How many starts of each")
      ->capture_default_str();
  app.add_option("--rounds", flags.load_rounds, "How often to measure a rate")
      ->capture_default_str();
  app.add_option("--seconds", flags.load_seconds, "How long each time")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  testing::InitGoogleTest();
  if (flags.tender.empty()) flags.tender = flags.build + "/bin/serai-tender";
  serai::bench::MeasureAll(flags);
  return 0;
}
