// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.h"

namespace serai::cli {
namespace {

volatile std::sig_atomic_t raised = 0;

void Remember(int) { raised = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  raised = 0;
  struct sigaction action = {};
  action.sa_handler = Remember;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

bool InterruptGuard::Raised() const { return raised != 0; }

}  // namespace serai::cli
