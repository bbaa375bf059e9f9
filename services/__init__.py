"""The capabilities. Each package is one; they meet in `workflows`, by events, or through `knowledge`, `repairs` and
`events`."""
