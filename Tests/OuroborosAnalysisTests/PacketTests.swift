internal import COuroboros
