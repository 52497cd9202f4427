/* SPDX-License-Identifier: MIT */
/* A disk that follows the notes of vfs.h and can lose its power: what was synced stays, of what was not anything may be there. */
#ifndef FAULTS_DISK_H
#define FAULTS_DISK_H

#include "vfs.h"

#define DISK_FILES 8
#define SECTOR 512

enum loss {
    LOSS_ALL,     /* nothing of what was not synced */
    LOSS_NONE,    /* everything */
    LOSS_TAIL,    /* the first so many writes, the last one of them torn at a sector */
    LOSS_SOME,    /* each sector of each write or not: reordered and torn */
    LOSS_GARBAGE, /* the same, and what was under way is noise */
    LOSS_COUNT
};

struct disk_file {
    bool there, created; /* surely; perhaps, since it was made and not yet synced */
    bool ghost;          /* it was deleted, and may come back */
    uint8_t *data;       /* as synced */
    int64_t size;
    size_t first;        /* index into the notes: what is before it is in `data` or void */
};

struct disk {
    struct disk_file files[DISK_FILES];
    const struct vfs_op *ops;
    size_t at; /* how many of them were done */
    bool lies; /* it says that it has synced, and has not */
    uint64_t dice;
};

void disk_step(struct disk *disk); /* one more of the notes */
/* The power goes: write what the disk may hold to files of this folder. */
void disk_image(struct disk *disk, enum loss loss, const char *folder);
void disk_free(struct disk *disk);
uint64_t disk_roll(struct disk *disk);

#endif
