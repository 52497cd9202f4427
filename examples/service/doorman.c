/* SPDX-License-Identifier: MIT */
#include "doorman.h"

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct doorman *doorman = user;

    if (purpose != CURLSOCKTYPE_IPCXN || !target_may_connect(doorman->policy, &address->addr)) {
        doorman->closed = 1;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void doorman_set(CURL *curl, struct doorman *doorman)
{
    if (!doorman->policy)
        return;
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, doorman);
}
