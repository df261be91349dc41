//! For tests only: a real `mongod`, and a store of its own for each test.
