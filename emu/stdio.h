/* SPDX-License-Identifier: MIT */
/* The terminal that tenbox was started on: raw while it runs, as it was before when it ends, however that happens. */
#ifndef EMU_STDIO_H
#define EMU_STDIO_H

/* Put the terminal back; safe in a signal handler, harmless if nothing was changed. */
void stdio_restore(void);
/* After SIGCONT: raw again. */
void stdio_resume(void);

#endif
