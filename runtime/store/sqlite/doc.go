// Package sqlite is the store in one SQLite file, for one runtime.
//
// One goroutine owns the one connection that writes. It takes what is waiting and
// commits it in one transaction (group commit): with one caller a commit costs one
// fsync, with many they share it. It yields once before it takes, and looks once more
// before it commits, which lets groups form; there is no timer. The cluster table is in memory, as package cluster has
// it; the writer alone changes it, together with the rows on disk, so the fence of a
// record costs no query. A few more connections read. What a group does to tasks is
// gathered in a draft, whose rows are written once at the end of the transaction, however
// often they changed; pages of what is due, and lists, are read on one connection more.
//
// The file is in WAL mode with synchronous=FULL: what was acknowledged survives a
// crash of the machine. The writer waits for the sync before it writes the next group: to
// do both at once splits those who would have shared one sync, which gains nothing on a fast
// disk and loses on a slow one. The writer itself moves the log into the file, so that an
// fsync that fails there is seen too.
//
// Only one runtime may have the file: it holds a lock on "<file>.lock". The file
// must be on a local disk.
package sqlite
