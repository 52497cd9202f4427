/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* xorshift64*: small, and the same everywhere. */
uint64_t disk_roll(struct disk *disk)
{
    disk->dice ^= disk->dice >> 12;
    disk->dice ^= disk->dice << 25;
    disk->dice ^= disk->dice >> 27;
    return disk->dice * UINT64_C(2685821657736338717) >> 16;
}

static bool coin(struct disk *disk)
{
    return disk_roll(disk) & 1;
}

/* ---- contents ------------------------------------------------------------------------------------------------- */

struct content {
    uint8_t *data;
    int64_t size;
};

static void resize(struct content *c, int64_t size)
{
    if (size > c->size) {
        c->data = realloc(c->data, (size_t)size);
        if (!c->data)
            abort();
        memset(c->data + c->size, 0, (size_t)(size - c->size));
    }
    c->size = size;
}

static void put(struct content *c, const uint8_t *data, int64_t at, size_t bytes)
{
    if (at + (int64_t)bytes > c->size)
        resize(c, at + (int64_t)bytes);
    memcpy(c->data + at, data, bytes);
}

static void apply(struct content *c, const struct vfs_op *op)
{
    if (op->kind == OP_WRITE)
        put(c, op->data, op->at, op->bytes);
    else if (op->kind == OP_TRUNCATE)
        resize(c, op->at);
}

static void put_noise(struct disk *disk, struct content *c, int64_t at, size_t bytes)
{
    uint8_t noise[SECTOR];
    for (size_t i = 0; i < bytes; i++)
        noise[i] = (uint8_t)disk_roll(disk);
    put(c, noise, at, bytes);
}

/* A write that may have reached the disk in part; sectors are whole or not. */
static void apply_some(struct disk *disk, struct content *c, const struct vfs_op *op, bool garbage)
{
    if (op->kind == OP_TRUNCATE && coin(disk))
        resize(c, op->at);
    if (op->kind != OP_WRITE)
        return;
    for (size_t done = 0; done < op->bytes;) {
        size_t step = SECTOR - (size_t)((op->at + (int64_t)done) % SECTOR);
        step = step < op->bytes - done ? step : op->bytes - done;
        if (coin(disk))
            put(c, op->data + done, op->at + (int64_t)done, step);
        else if (garbage && coin(disk))
            put_noise(disk, c, op->at + (int64_t)done, step);
        done += step;
    }
}

/* ---- the notes ---------------------------------------------------------------------------------------------------- */

/* With the first sync of a file that it has made SQLite syncs the folder too: then what was deleted stays so. */
static void sync_folder(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++)
        disk->files[i].ghost = false;
}

static void sync_file(struct disk *disk, int number)
{
    struct disk_file *f = &disk->files[number];
    struct content c = { f->data, f->size };
    if (!f->there) {
        sync_folder(disk);
        c.size = 0;
    }
    for (size_t i = f->first; i < disk->at; i++)
        if (disk->ops[i].file == number)
            apply(&c, &disk->ops[i]);
    *f = (struct disk_file){ .there = true, .data = c.data, .size = c.size, .first = disk->at };
}

void disk_step(struct disk *disk)
{
    const struct vfs_op *op = &disk->ops[disk->at++];
    struct disk_file *f = op->file >= 0 && op->file < DISK_FILES ? &disk->files[op->file] : NULL;
    if (!f)
        return;
    switch (op->kind) {
    case OP_SYNC:
        if (!disk->lies)
            sync_file(disk, op->file);
        break;
    case OP_DELETE:
        f->ghost = f->there;
        f->there = f->created = false;
        f->first = disk->at;
        break;
    case OP_CREATE:
        f->created = true;
        f->first = disk->at;
        break;
    case OP_WRITE:
        f->created |= !f->there;
        break;
    default:
        break;
    }
}

/* ---- images --------------------------------------------------------------------------------------------------------- */

static void pending(struct disk *disk, int number, enum loss loss, struct content *c)
{
    const struct disk_file *f = &disk->files[number];
    size_t last = loss == LOSS_TAIL && disk->at > f->first ? f->first + disk_roll(disk) % (disk->at - f->first) : disk->at;
    for (size_t i = f->first; i < disk->at && loss != LOSS_ALL; i++) {
        const struct vfs_op *op = &disk->ops[i];
        if (op->file != number)
            continue;
        if (loss == LOSS_NONE || (loss == LOSS_TAIL && i < last))
            apply(c, op);
        else if (loss == LOSS_TAIL && i == last)
            put(c, op->data, op->at, op->bytes - op->bytes % SECTOR > SECTOR ? SECTOR : op->bytes / 2);
        else if (loss == LOSS_SOME || loss == LOSS_GARBAGE)
            apply_some(disk, c, op, loss == LOSS_GARBAGE);
    }
}

static void write_file(const char *folder, const char *name, const struct content *c)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(c->data ? c->data : (const uint8_t *)"", 1, (size_t)c->size, file) != (size_t)c->size || fclose(file) != 0)
        abort();
}

void disk_image(struct disk *disk, enum loss loss, const char *folder)
{
    for (int i = 0; i < DISK_FILES && vfs_notes_name(i); i++) {
        const struct disk_file *f = &disk->files[i];
        struct content c = { NULL, 0 };
        bool new_one = f->there || (f->created && (loss == LOSS_NONE || (loss != LOSS_ALL && coin(disk))));
        bool old_one = !new_one && f->ghost && coin(disk);
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, vfs_notes_name(i));
        unlink(path);
        if (!new_one && !old_one)
            continue;
        if (f->there || old_one)
            put(&c, f->data ? f->data : (const uint8_t *)"", 0, (size_t)f->size);
        if (new_one)
            pending(disk, i, loss, &c);
        write_file(folder, vfs_notes_name(i), &c);
        free(c.data);
    }
}

void disk_free(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++)
        free(disk->files[i].data);
    memset(disk->files, 0, sizeof disk->files);
}
