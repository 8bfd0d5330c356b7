/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks of a librpm plugin as rpm 4.18 declares them in lib/rpmplugin.h, which it does not install. From 4.20 on
 * rpm/rpmplugin.h is public; it declares the same. What this plugin does not use is without a type of its own here: a
 * pointer to a function all the same, so that the layout is librpm's.
 */
#ifndef MULTISIG_HOOKS_4_18_H
#define MULTISIG_HOOKS_4_18_H

#include <rpm/rpmtypes.h>

struct rpmPluginHooks_s {
    rpmRC (*init)(rpmPlugin plugin, rpmts ts);
    void (*cleanup)(rpmPlugin plugin);
    rpmRC (*tsm_pre)(rpmPlugin plugin, rpmts ts);
    rpmRC (*tsm_post)(rpmPlugin plugin, rpmts ts, int res);
    rpmRC (*psm_pre)(rpmPlugin plugin, rpmte te);
    rpmRC (*psm_post)(rpmPlugin plugin, rpmte te, int res);
    rpmRC (*scriptlet_pre)(rpmPlugin plugin, const char *s_name, int type);
    void (*scriptlet_fork_post)(void);
    void (*scriptlet_post)(void);
    void (*fsm_file_pre)(void);
    void (*fsm_file_post)(void);
    void (*fsm_file_prepare)(void);
};

void rpmPluginSetData(rpmPlugin plugin, void *data);
void *rpmPluginGetData(rpmPlugin plugin);

#endif
