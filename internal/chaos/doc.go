// Package chaos tries out on real processes what docs/reliability.md promises: workers and
// a runtime on SQLite, or two runtimes on PostgreSQL, are killed, stopped and cut off while
// clients call, and porcupine checks that what the clients saw could have happened one call
// after the other. It holds no code of the product.
package chaos
