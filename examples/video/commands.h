/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_COMMANDS_H
#define VIDEO_COMMANDS_H

/* The four commands of jobq-video. Each returns an exit status. */
int serve_main(int argc, char **argv);
int worker_main(int argc, char **argv);
int submit_main(int argc, char **argv);
int watch_main(int argc, char **argv);

#endif
