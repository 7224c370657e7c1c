"""Where jobs are kept. A job's name says where."""
