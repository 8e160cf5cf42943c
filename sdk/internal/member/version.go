package member

// Release is the release of this module, for people.
const Release = "v0.1.0"
