"""What notes are written in: operations, laws, claims, faults, workloads, and strategies of inputs."""
