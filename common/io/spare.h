/* spare: what a process does when all of its descriptors are taken.
 *
 * libzmq ends the process when a listener of its is told EMFILE, and one that did not would be
 * asked again at full speed, as the connection stays in the queue. So one descriptor is kept in
 * spare: it is given up for a moment, the connection is taken and closed, and whoever it was may
 * try again. This file defines accept4() for the whole process, libzmq included. */
#pragma once

/* Takes a descriptor in spare, unless there is one. */
void spare_keep(void);
