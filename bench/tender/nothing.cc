// SPDX-License-Identifier: Apache-2.0
// What any process costs: a static program that ends at once.
int main() { return 0; }
