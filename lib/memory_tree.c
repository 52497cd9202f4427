/* SPDX-License-Identifier: MIT */
/* A treap: ordered by key, balanced by chance. Nodes live inside what they order, so nothing here allocates. Most of what comes
 * is behind all that is there, what goes is known, and who walks stands on a node: none of these is looked for from the root. */
#include "memory.h"

static uint32_t next_random(uint32_t *seed)
{
    uint32_t x = *seed ? *seed : 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

static void hang(struct mem_node **at, struct mem_node *node, struct mem_node *above)
{
    *at = node;
    if (node)
        node->above = above;
}

/* Where the tree points at a node of its own. */
static struct mem_node **place_of(struct mem_tree *tree, const struct mem_node *node)
{
    struct mem_node *above = node->above;
    if (!above)
        return &tree->root;
    return above->left == node ? &above->left : &above->right;
}

/* Everything below `old` to the left of `node`, which is new, or to its right. */
static void split(const struct mem_tree *tree, struct mem_node *old, struct mem_node *node)
{
    struct mem_node **less = &node->left, **rest = &node->right, *less_above = node, *rest_above = node;
    while (old) {
        if (tree->order(old, node) < 0) {
            hang(less, old, less_above);
            less_above = old;
            less = &old->right;
            old = old->right;
        } else {
            hang(rest, old, rest_above);
            rest_above = old;
            rest = &old->left;
            old = old->left;
        }
    }
    *less = *rest = NULL;
}

/* Up from the last: what is cooler than the node gets below it. */
static void add_last(struct mem_tree *tree, struct mem_node *node)
{
    struct mem_node *above = tree->last, *below = NULL;
    while (above && above->heat < node->heat) {
        below = above;
        above = above->above;
    }
    hang(&node->left, below, node);
    node->right = NULL;
    hang(above ? &above->right : &tree->root, node, above);
    tree->last = node;
}

void mem_tree_add(struct mem_tree *tree, struct mem_node *node)
{
    struct mem_node **at = &tree->root, *above = NULL;
    node->heat = next_random(&tree->seed);
    if (!tree->last || tree->order(node, tree->last) > 0) {
        add_last(tree, node);
        return;
    }
    while (*at && (*at)->heat >= node->heat) {
        above = *at;
        at = tree->order(node, above) < 0 ? &above->left : &above->right;
    }
    split(tree, *at, node);
    hang(at, node, above);
}

static struct mem_node *rightmost(struct mem_node *node)
{
    while (node && node->right)
        node = node->right;
    return node;
}

static struct mem_node *leftmost(struct mem_node *node)
{
    while (node && node->left)
        node = node->left;
    return node;
}

void mem_tree_remove(struct mem_tree *tree, struct mem_node *node)
{
    struct mem_node **at = place_of(tree, node), *above = node->above, *left = node->left, *right = node->right;
    if (tree->last == node)
        tree->last = left ? rightmost(left) : above;
    while (left && right) {
        if (left->heat > right->heat) {
            hang(at, left, above);
            above = left;
            at = &left->right;
            left = left->right;
        } else {
            hang(at, right, above);
            above = right;
            at = &right->left;
            right = right->left;
        }
    }
    hang(at, left ? left : right, above);
}

struct mem_node *mem_tree_first(const struct mem_tree *tree)
{
    return leftmost(tree->root);
}

struct mem_node *mem_tree_next(const struct mem_node *node)
{
    if (node->right)
        return leftmost(node->right);
    while (node->above && node->above->right == node)
        node = node->above;
    return node->above;
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
    struct mem_node *found = mem_tree_from(tree, key);
    return found && tree->order(found, key) == 0 ? mem_tree_next(found) : found;
}
