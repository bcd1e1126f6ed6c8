// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::cri::streaming {

// What Exec, ExecSync and the path /exec answer.
inline constexpr char kNoExec[] =
    "a unikernel has no processes to execute a command in: it is one program "
    "and its own kernel. Use logs, attach, an HTTP probe or port-forward "
    "instead";

}  // namespace serai::cri::streaming
