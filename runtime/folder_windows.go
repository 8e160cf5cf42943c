package main

// syncFolder makes the names in a folder durable; Windows does so by itself.
func syncFolder(string) error { return nil }
