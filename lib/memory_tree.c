/* SPDX-License-Identifier: MIT */
/* A treap: ordered by key, balanced by chance. Nodes live inside what they order, so nothing here allocates. */
#include "memory.h"

static uint32_t next_random(uint32_t *seed)
{
    uint32_t x = *seed ? *seed : 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

/* Everything below `node` into what is less than `key` and what is not. */
static void split(const struct mem_tree *tree, struct mem_node *node, const struct mem_node *key,
                  struct mem_node **less, struct mem_node **rest)
{
    while (node) {
        if (tree->order(node, key) < 0) {
            *less = node;
            less = &node->right;
            node = node->right;
        } else {
            *rest = node;
            rest = &node->left;
            node = node->left;
        }
    }
    *less = *rest = NULL;
}

void mem_tree_add(struct mem_tree *tree, struct mem_node *node)
{
    struct mem_node **at = &tree->root;
    node->heat = next_random(&tree->seed);
    while (*at && (*at)->heat >= node->heat)
        at = tree->order(node, *at) < 0 ? &(*at)->left : &(*at)->right;
    split(tree, *at, node, &node->left, &node->right);
    *at = node;
}

void mem_tree_remove(struct mem_tree *tree, struct mem_node *node)
{
    struct mem_node **at = &tree->root;
    while (*at != node)
        at = tree->order(node, *at) < 0 ? &(*at)->left : &(*at)->right;
    struct mem_node *left = node->left, *right = node->right;
    while (left && right) {
        if (left->heat > right->heat) {
            *at = left;
            at = &left->right;
            left = left->right;
        } else {
            *at = right;
            at = &right->left;
            right = right->left;
        }
    }
    *at = left ? left : right;
}

struct mem_node *mem_tree_first(const struct mem_tree *tree)
{
    struct mem_node *node = tree->root;
    while (node && node->left)
        node = node->left;
    return node;
}

struct mem_node *mem_tree_from(const struct mem_tree *tree, const struct mem_node *key)
{
    struct mem_node *found = NULL;
    for (struct mem_node *node = tree->root; node;) {
        if (tree->order(node, key) < 0) {
            node = node->right;
        } else {
            found = node;
            node = node->left;
        }
    }
    return found;
}

struct mem_node *mem_tree_after(const struct mem_tree *tree, const struct mem_node *key)
{
    struct mem_node *found = NULL;
    for (struct mem_node *node = tree->root; node;) {
        if (tree->order(node, key) <= 0) {
            node = node->right;
        } else {
            found = node;
            node = node->left;
        }
    }
    return found;
}
