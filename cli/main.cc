#include "cli/verbs.h"

int main(int argc, char** argv) { return shardlab::run_command(argc, argv); }
