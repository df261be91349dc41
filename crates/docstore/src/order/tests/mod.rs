mod encoding;
mod keys;
mod paths;
