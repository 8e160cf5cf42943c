// Package chaos tries out on real processes what docs/reliability.md promises: a
// runtime on SQLite and workers are killed, stopped and cut off while clients call, and
// porcupine checks that what the clients saw could have happened one call after the
// other. It holds no code of the product.
package chaos
