// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "bench/tender/measures.h"
#include "bench/tender/process.h"

namespace serai::bench {
namespace {

// A directory that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    if (::mkdtemp(path_) == nullptr) Die("mkdtemp");
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/serai-bench-XXXXXX";
};

// Has a guest that writes all the time leave a snapshot in `directory`.
void TakeSnapshot(const Setting& setting, const Contestant& contestant,
                  const std::string& directory) {
  Contestant saving = contestant;
  saving.options.push_back("--snapshot-to=" + directory);
  Process process(saving.Command(setting.guests, "count", {},
                                 {"--pause-ms=1", "--lines=1000000",
                                  "--no-vectors", "--heap-kib=4"}),
                  Process::Output::kFile);
  process.WaitForOutput("count: 12");
  ::kill(process.pid(), SIGUSR2);
  const double deadline = Now() + kPatience;
  while (::access((directory + "/machine").c_str(), R_OK) != 0) {
    if (Now() > deadline) Die("no snapshot");
    ::usleep(1000);
  }
}

}  // namespace

void MeasureRestore(const Setting& setting, const std::string& floor,
                    Table* table) {
  const Measure output = {"restore: exec to first output", "ms"};
  const Measure end = {"restore: exec to exit of the empty program", "ms"};
  const Contestant nothing = {"", "an empty static program", floor, {}, false};
  for (const Contestant& contestant : setting.contestants) {
    if (contestant.target != "hvt" || contestant.reference) continue;
    const TemporaryDirectory directory;
    TakeSnapshot(setting, contestant, directory.path());
    for (int round = 0; round < setting.start_rounds; ++round) {
      std::vector<std::string> words = {contestant.program};
      words.insert(words.end(), contestant.options.begin(),
                   contestant.options.end());
      words.push_back("--restore-from=" + directory.path());
      Process process(words);
      table->Add(output, contestant, process.WaitForAnyOutput() * 1000);
      Process empty({floor});
      table->Add(end, nothing, empty.WaitForEnd() * 1000);
    }
  }
}

}  // namespace serai::bench
