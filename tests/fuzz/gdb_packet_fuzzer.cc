// SPDX-License-Identifier: Apache-2.0
// What a debugger sends, or somebody in its place, from its first byte on.
#include <signal.h>

#include <string>

#include "tender/gdb/session.h"
#include "tests/fuzz/check.h"
#include "tests/tender/gdb/fake_machine.h"

namespace {

using namespace serai::tender::gdb;  // NOLINT(google-build-using-namespace)
using Event = PacketReader::Event;

// Everything that is said is an acknowledgement or a whole packet.
void CheckOutput(const std::string& output) {
  PacketReader reader;
  bool inside = false;
  for (const char c : output) {
    if (!inside) FUZZ_CHECK(c == '+' || c == '-' || c == '$');
    inside = inside || c == '$';
    const Event event = reader.Add(static_cast<uint8_t>(c));
    FUZZ_CHECK(event != Event::kBroken);
    if (event == Event::kPacket) inside = false;
  }
  FUZZ_CHECK(!inside);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  serai::testing::FakeTarget target;
  serai::testing::FakeStream stream(
      std::string(reinterpret_cast<const char*>(data), size));
  Session session(&target, &stream);
  Resume resume;
  do {
    resume = session.Serve({SIGTRAP, Stop::Reason::kBreakpoint});
    FUZZ_CHECK(resume.signal >= 0 && resume.signal <= 255);
    session.WantsStop();
  } while (resume.action == Resume::Action::kContinue ||
           resume.action == Resume::Action::kStep);
  CheckOutput(stream.TakeOutput());
  FUZZ_CHECK(target.memory().size() == 64);
  return 0;
}
